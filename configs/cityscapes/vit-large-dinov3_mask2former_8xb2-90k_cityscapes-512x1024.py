"""Mask2Former with DINOv3's plain ViT-L on Cityscapes: the baseline.

Recipe    that of HPViT, from which it inherits. The levels come from ViTDet's
          simple feature pyramid.
Command   bash tools/dist_train.sh \
              configs/cityscapes/vit-large-dinov3_mask2former_8xb2-90k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,658 + 84.9 + 3,482) GFLOPs (backbone, neck, backward pass; not
          counted: decode_head) x 16 images x 90,000 iterations = more than 7.5
          EFLOPs, 16.7 GPU hours at 125 TFLOP/s in bf16; 11.4 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-large-avg-dinov3_mask2former_8xb2-90k_cityscapes-512x1024.py'

model = dict(
    backbone=dict(
        patch_stride=16, stage_depths=(24, ), attention='global'),
    neck=dict(type='hpvit_mm.SimpleFeaturePyramid', in_channels=1024),
    decode_head=dict(in_channels=[256, 256, 256, 256]))
