"""Mask R-CNN with HPViT-B from DINOv2 on COCO, 36 epochs.

Recipe    ViT-Adapter's for DINOv2 (czczup/ViT-Adapter,
          detection/configs/mask_rcnn/dinov2), without its adapter: AdamW 1e-4,
          weight decay 0.05, layer decay 0.7, drop path 0.3, multi-scale
          training. Attention is that of the MAE config, from which it
          inherits. The kernel of 14 pixels is resized to 16, as ViT-Adapter
          and EoMT do: strides of 4 to 32 need it.
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-avg-dinov2_mask-rcnn_8xb2-ms-3x_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,688 + 449 + 5,344) GFLOPs (backbone, heads, backward pass) x
          117,266 images x 36 epochs = 31.6 EFLOPs, 70.2 GPU hours at 125
          TFLOP/s in bf16; 9.7 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; ViT-Adapter publishes 54.1 box AP and 47.8 mask AP
          with its adapter
"""
_base_ = [
    '../_base_/backbones/dinov2-base.py',
    './hpvit-base-conv-mae_mask-rcnn_8xb2-ms-3x_coco.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        pooling='avg',
        drop_path_rate=0.3,
        **_base_.backbone))
