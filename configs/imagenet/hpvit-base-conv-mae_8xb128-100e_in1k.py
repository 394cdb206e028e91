"""HPViT-B (conv pooling) from MAE's ViT-B, fine-tuned on ImageNet-1K.

Recipe    MAE's fine-tuning of ViT-B, see the schedule's file
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-conv-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      arithmetic, not measured: 71.5 GMACs a forward pass of an image of
          224 pixels; x 2 FLOPs x 3 (with the backward pass) x 1.28 M images
          x 100 epochs = 55 EFLOPs, or 122 hours of one GPU at 125 TFLOP/s
          (40 % of an A100's bf16 peak)
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
