"""Mask R-CNN on DINOv3's frozen plain ViT-B on COCO: the baseline.

Recipe    that of HPViT, from which it inherits. All blocks are global, as in
          the pre-training.
Command   bash tools/dist_train.sh \
              configs/coco/vit-base-dinov3-frozen_mask-rcnn_8xb2-ms-1x_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (543 + 452 + 893) GFLOPs (backbone, heads, backward pass) x 117,266
          images x 12 epochs = 2.7 EFLOPs, 5.9 GPU hours at 125 TFLOP/s in
          bf16; 3.3 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-avg-dinov3-frozen_mask-rcnn_8xb2-ms-1x_coco.py'

model = dict(
    backbone=dict(patch_stride=16, stage_depths=(12, ), frozen_stages=1),
    neck=dict(_delete_=True, type='hpvit_mm.SimpleFeaturePyramid', in_channels=768, num_outs=5))
