"""MAE pre-training of ViT-H on ImageNet-1K for 1600 epochs.

Recipe    MAE's (github.com/facebookresearch/mae, PRETRAIN.md): patches of 14
          pixels
Command   bash tools/dist_train.sh \
              configs/pretrain/mae_vit-huge_8xb512-1600e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (82.6 + 14.2 + 193) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 1,600 epochs = 595 EFLOPs, 1,322 GPU hours at 125
          TFLOP/s in bf16 (tools/model_zoo.py; not measured)
Result    not yet trained; published after fine-tuning: 86.9 % top-1
          (mmpretrain's MAE)
"""
_base_ = [
    '../_base_/models/mae_vit.py',
    '../_base_/datasets/imagenet_mae-224.py',
    '../_base_/schedules/imagenet_mae-1600e.py',
    '../_base_/default_runtime/pretrain.py',
]

model = dict(
    backbone=dict(
        arch='huge', patch_size=14, patch_stride=14, stage_depths=(32, )),
    neck=dict(in_channels=1280, patch_size=14),
    head=dict(patch_size=14))
