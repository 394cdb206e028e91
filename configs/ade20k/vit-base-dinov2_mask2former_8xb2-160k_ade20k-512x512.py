"""Mask2Former with DINOv2's plain ViT-B on ADE20K: the baseline.

Recipe    that of HPViT, from which it inherits. The levels come from ViTDet's
          simple feature pyramid.
Command   bash tools/dist_train.sh \
              configs/ade20k/vit-base-dinov2_mask2former_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (214 + 35.8 + 499) GFLOPs (backbone, neck, backward pass; not
          counted: decode_head) x 16 images x 160,000 iterations = more than
          1.9 EFLOPs, 4.3 GPU hours at 125 TFLOP/s in bf16; 3.2 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-avg-dinov2_mask2former_8xb2-160k_ade20k-512x512.py'

model = dict(
    backbone=dict(
        patch_stride=16, stage_depths=(12, ), attention='global'),
    neck=dict(type='hpvit_mm.SimpleFeaturePyramid', in_channels=768),
    decode_head=dict(in_channels=[256, 256, 256, 256]))
