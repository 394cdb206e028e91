"""UperNet with HPViT-S from DINOv3 on Cityscapes.

Recipe    that of MAE's weights, from which it inherits, with layer decay 0.7,
          ViT-Adapter's for DINOv2 on COCO: no recipe that fine-tunes DINOv3
          under UperNet has been found.
Command   bash tools/dist_train.sh \
              configs/cityscapes/hpvit-small-avg-dinov3_upernet_8xb2-80k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      (435 + 854 + 2,559) GFLOPs (backbone, heads, backward pass) x 16
          images x 80,000 iterations = 4.9 EFLOPs, 10.9 GPU hours at 125
          TFLOP/s in bf16; 5.3 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-small.py',
    './hpvit-base-conv-mae_upernet_8xb2-80k_cityscapes-512x1024.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    decode_head=dict(in_channels=[384, 384, 384, 384]),
    auxiliary_head=dict(in_channels=384),
    backbone=dict(pooling='avg', **_base_.backbone))

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.7))
