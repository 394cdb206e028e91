"""Mask R-CNN with HPViT-S from DINOv2 on COCO, 36 epochs.

Recipe    ViT-Adapter's for DINOv2 (czczup/ViT-Adapter,
          detection/configs/mask_rcnn/dinov2), without its adapter: AdamW 1e-4,
          weight decay 0.05, layer decay 0.7, drop path 0.2, multi-scale
          training. Attention is that of the MAE config, from which it
          inherits. The kernel of 14 pixels is resized to 16, as ViT-Adapter
          and EoMT do: strides of 4 to 32 need it.
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-small-avg-dinov2_mask-rcnn_8xb2-ms-3x_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (457 + 440 + 2,061) GFLOPs (backbone, heads, backward pass) x 117,266
          images x 36 epochs = 12.5 EFLOPs, 27.7 GPU hours at 125 TFLOP/s in
          bf16; 5.8 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; ViT-Adapter publishes 51.5 box AP and 45.6 mask AP
          with its adapter
"""
_base_ = [
    '../_base_/backbones/dinov2-small.py',
    './hpvit-base-conv-mae_mask-rcnn_8xb2-ms-3x_coco.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    neck=dict(in_channels=[384, 384, 384, 384]),
    backbone=dict(
        pooling='avg',
        drop_path_rate=0.2,
        **_base_.backbone))
