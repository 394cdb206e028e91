"""UperNet with HPViT-B from DINOv3 on ADE20K.

Recipe    that of MAE's weights, from which it inherits, with layer decay 0.7,
          ViT-Adapter's for DINOv2 on COCO: no recipe that fine-tunes DINOv3
          under UperNet has been found.
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-base-avg-dinov3_upernet_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (759 + 441 + 2,379) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 9.2 EFLOPs, 20.4 GPU hours at 125
          TFLOP/s in bf16; 6.3 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-base.py',
    './hpvit-base-conv-mae_upernet_8xb2-160k_ade20k-512x512.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(pooling='avg', **_base_.backbone))

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.7))
