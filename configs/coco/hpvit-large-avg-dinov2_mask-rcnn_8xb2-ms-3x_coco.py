"""Mask R-CNN with HPViT-L from DINOv2 on COCO, 36 epochs.

Recipe    ViT-Adapter's for DINOv2 (czczup/ViT-Adapter,
          detection/configs/mask_rcnn/dinov2), without its adapter: AdamW 1e-4,
          weight decay 0.05, layer decay 0.8, drop path 0.4, multi-scale
          training. Attention is that of the MAE config, from which it
          inherits. The kernel of 14 pixels is resized to 16, as ViT-Adapter
          and EoMT do: strides of 4 to 32 need it.
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-large-avg-dinov2_mask-rcnn_8xb2-ms-3x_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (3,688 + 455 + 10,189) GFLOPs (backbone, heads, backward pass) x
          117,266 images x 36 epochs = 60.5 EFLOPs, 134 GPU hours at 125
          TFLOP/s in bf16; 19.9 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; ViT-Adapter publishes 55.3 box AP and 49.0 mask AP
          with its adapter
"""
_base_ = [
    '../_base_/backbones/dinov2-large.py',
    './hpvit-base-conv-mae_mask-rcnn_8xb2-ms-3x_coco.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    neck=dict(in_channels=[1024, 1024, 1024, 1024]),
    backbone=dict(
        pooling='avg',
        drop_path_rate=0.4,
        attention=('dilated', 'dilated', (('window', ) * 5 + ('global', )) * 3,
                   'global'),
        **_base_.backbone))

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.8))
