"""UperNet with HPViT-L from DINOv3 on Cityscapes.

Recipe    that of MAE's weights, from which it inherits, with layer decay 0.8,
          ViT-Adapter's for DINOv2 on COCO: no recipe that fine-tunes DINOv3
          under UperNet has been found.
Command   bash tools/dist_train.sh \
              configs/cityscapes/hpvit-large-avg-dinov3_upernet_8xb2-80k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      (3,512 + 891 + 8,754) GFLOPs (backbone, heads, backward pass) x 16
          images x 80,000 iterations = 16.8 EFLOPs, 37.4 GPU hours at 125
          TFLOP/s in bf16; 18.9 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-large.py',
    './hpvit-large-conv-mae_upernet_8xb2-80k_cityscapes-512x1024.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(pooling='avg', **_base_.backbone))

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.8))
