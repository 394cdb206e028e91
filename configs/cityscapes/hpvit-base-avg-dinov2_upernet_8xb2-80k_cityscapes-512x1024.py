"""UperNet with HPViT-B from DINOv2 on Cityscapes.

Recipe    that of MAE's weights, from which it inherits, with layer decay 0.7,
          ViT-Adapter's for DINOv2 on COCO: no recipe that fine-tunes DINOv2
          under UperNet has been found. The kernel of 14 pixels is resized to
          16, as ViT-Adapter and EoMT do: strides of 4 to 32 need it.
Command   bash tools/dist_train.sh \
              configs/cityscapes/hpvit-base-avg-dinov2_upernet_8xb2-80k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,536 + 876 + 4,786) GFLOPs (backbone, heads, backward pass) x 16
          images x 80,000 iterations = 9.2 EFLOPs, 20.5 GPU hours at 125
          TFLOP/s in bf16; 9.5 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov2-base.py',
    './hpvit-base-conv-mae_upernet_8xb2-80k_cityscapes-512x1024.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(pooling='avg', **_base_.backbone))

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.7))
