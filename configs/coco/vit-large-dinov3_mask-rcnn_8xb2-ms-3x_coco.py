"""Mask R-CNN with DINOv3's plain ViT-L on COCO: the baseline.

Recipe    ViT-Adapter's for DINOv2 (czczup/ViT-Adapter,
          detection/configs/mask_rcnn/dinov2), without its adapter: AdamW 1e-4,
          weight decay 0.05, layer decay 0.8, drop path 0.4, multi-scale
          training. Attention is that of the MAE config, from which it
          inherits.
Command   bash tools/dist_train.sh \
              configs/coco/vit-large-dinov3_mask-rcnn_8xb2-ms-3x_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      -
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-large.py',
    './vit-base-mae_mask-rcnn_8xb2-ms-3x_coco.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    neck=dict(in_channels=1024),
    backbone=dict(
        drop_path_rate=0.4,
        attention=((('window', ) * 5 + ('global', )) * 4, ),
        stage_depths=(24, ),
        **_base_.backbone))

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.8))
