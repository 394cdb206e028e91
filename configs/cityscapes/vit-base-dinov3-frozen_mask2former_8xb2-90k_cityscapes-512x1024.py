"""Mask2Former on DINOv3's frozen plain ViT-B on Cityscapes: the baseline.

Recipe    that of HPViT, from which it inherits. The levels come from ViTDet's
          simple feature pyramid.
Command   bash tools/dist_train.sh \
              configs/cityscapes/vit-base-dinov3-frozen_mask2former_8xb2-90k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      ...
Result    not yet trained
"""
_base_ = './hpvit-base-avg-dinov3-frozen_mask2former_8xb2-90k_cityscapes-512x1024.py'

model = dict(
    backbone=dict(
        patch_stride=16, stage_depths=(12, ), frozen_stages=1),
    neck=dict(type='hpvit_mm.SimpleFeaturePyramid', in_channels=768),
    decode_head=dict(in_channels=[256, 256, 256, 256]))
