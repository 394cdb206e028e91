"""Mask2Former with DINOv3's plain ViT-B on COCO: the baseline.

Recipe    that of HPViT, from which it inherits. The levels come from ViTDet's
          simple feature pyramid.
Command   bash tools/dist_train.sh \
              configs/coco/vit-base-dinov3_mask2former_8xb2-lsj-50e_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (943 + 143 + 2,169) GFLOPs (backbone, neck, backward pass; not
          counted: panoptic_head) x 117,266 images x 50 epochs = more than 19.1
          EFLOPs, 42.4 GPU hours at 125 TFLOP/s in bf16; 6.3 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-avg-dinov3_mask2former_8xb2-lsj-50e_coco.py'

model = dict(
    backbone=dict(
        patch_stride=16,
        stage_depths=(12, ),
        attention=(('window', 'window', 'global') * 4, ),
        with_cp=False),
    neck=dict(type='hpvit_mm.SimpleFeaturePyramid', in_channels=768),
    panoptic_head=dict(in_channels=[256, 256, 256, 256]))
