"""HPViT-B (conv pooling) from MAE's ViT-B, fine-tuned on ImageNet-1K.

Recipe    MAE's fine-tuning of ViT-B, see the schedule's file
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-conv-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (143 + 0.0015 + 282) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 54.4 EFLOPs, 121 GPU hours at 125
          TFLOP/s in bf16; 32.9 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/hpvit_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/imagenet_100e.py',
    '../_base_/default_runtime/mmpretrain.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_base.pth')))
