"""UperNet with HPViT-L from DINOv2 on ADE20K.

Recipe    that of MAE's weights, from which it inherits, with layer decay 0.8,
          ViT-Adapter's for DINOv2 on COCO: no recipe that fine-tunes DINOv2
          under UperNet has been found. The kernel of 14 pixels is resized to
          16, as ViT-Adapter and EoMT do: strides of 4 to 32 need it.
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-large-avg-dinov2_upernet_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,660 + 448 + 4,189) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 16.1 EFLOPs, 35.8 GPU hours at 125
          TFLOP/s in bf16; 12.5 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov2-large.py',
    './hpvit-large-conv-mae_upernet_8xb2-160k_ade20k-512x512.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(pooling='avg', **_base_.backbone))

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.8))
