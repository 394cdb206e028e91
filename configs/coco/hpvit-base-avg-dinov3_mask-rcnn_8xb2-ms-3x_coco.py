"""Mask R-CNN with HPViT-B from DINOv3 on COCO, 36 epochs.

Recipe    ViT-Adapter's for DINOv2 (czczup/ViT-Adapter,
          detection/configs/mask_rcnn/dinov2), without its adapter: AdamW 1e-4,
          weight decay 0.05, layer decay 0.7, drop path 0.3, multi-scale
          training. Attention is that of the MAE config, from which it
          inherits.
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-avg-dinov3_mask-rcnn_8xb2-ms-3x_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,720 + 449 + 5,433) GFLOPs (backbone, heads, backward pass) x
          117,266 images x 36 epochs = 32.1 EFLOPs, 71.3 GPU hours at 125
          TFLOP/s in bf16; 10.2 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-base.py',
    './hpvit-base-conv-mae_mask-rcnn_8xb2-ms-3x_coco.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        pooling='avg',
        drop_path_rate=0.3,
        **_base_.backbone))
