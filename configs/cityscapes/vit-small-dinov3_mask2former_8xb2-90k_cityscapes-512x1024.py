"""Mask2Former with DINOv3's plain ViT-S on Cityscapes: the baseline.

Recipe    that of HPViT, from which it inherits. The levels come from ViTDet's
          simple feature pyramid.
Command   bash tools/dist_train.sh \
              configs/cityscapes/vit-small-dinov3_mask2former_8xb2-90k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      (166 + 57.9 + 447) GFLOPs (backbone, neck, backward pass; not
          counted: decode_head) x 16 images x 90,000 iterations = more than
          0.97 EFLOPs, 2.1 GPU hours at 125 TFLOP/s in bf16; 2.0 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-small-avg-dinov3_mask2former_8xb2-90k_cityscapes-512x1024.py'

model = dict(
    backbone=dict(
        patch_stride=16, stage_depths=(12, ), attention='global'),
    neck=dict(type='hpvit_mm.SimpleFeaturePyramid', in_channels=384),
    decode_head=dict(in_channels=[256, 256, 256, 256]))
