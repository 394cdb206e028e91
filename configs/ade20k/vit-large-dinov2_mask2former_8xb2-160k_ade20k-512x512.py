"""Mask2Former with DINOv2's plain ViT-L on ADE20K: the baseline.

Recipe    that of HPViT, from which it inherits. The levels come from ViTDet's
          simple feature pyramid.
Command   bash tools/dist_train.sh \
              configs/ade20k/vit-large-dinov2_mask2former_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (724 + 42.4 + 1,531) GFLOPs (backbone, neck, backward pass; not
          counted: decode_head) x 16 images x 160,000 iterations = more than
          5.9 EFLOPs, 13.1 GPU hours at 125 TFLOP/s in bf16; 8.9 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-large-avg-dinov2_mask2former_8xb2-160k_ade20k-512x512.py'

model = dict(
    backbone=dict(
        patch_stride=16, stage_depths=(24, ), attention='global'),
    neck=dict(type='hpvit_mm.SimpleFeaturePyramid', in_channels=1024),
    decode_head=dict(in_channels=[256, 256, 256, 256]))
