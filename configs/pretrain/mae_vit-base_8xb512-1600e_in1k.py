"""MAE pre-training of ViT-B on ImageNet-1K for 1600 epochs.

Recipe    MAE's (github.com/facebookresearch/mae, PRETRAIN.md)
Command   bash tools/dist_train.sh \
              configs/pretrain/mae_vit-base_8xb512-1600e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (8.6 + 10.7 + 38.6) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 1,600 epochs = 119 EFLOPs, 264 GPU hours at 125
          TFLOP/s in bf16 (tools/model_zoo.py; not measured)
Result    not yet trained; published after fine-tuning: 83.5 % top-1
          (mmpretrain's MAE)
"""
_base_ = [
    '../_base_/models/mae_vit.py',
    '../_base_/datasets/imagenet_mae-224.py',
    '../_base_/schedules/imagenet_mae-1600e.py',
    '../_base_/default_runtime/pretrain.py',
]
