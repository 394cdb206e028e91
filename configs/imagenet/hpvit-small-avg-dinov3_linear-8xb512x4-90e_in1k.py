"""Linear probing of a converted DINOv3 ViT-S on ImageNet-1K.

Recipe    that of MAE's weights, from which it inherits: the average of the
          patches. DINOv3 itself adds the cls token and searches the rate.
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-small-avg-dinov3_linear-8xb512x4-90e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (34.0 + 0.00077 + 0.00077) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 90 epochs = 3.9 EFLOPs, 8.7 GPU hours at 125
          TFLOP/s in bf16; 16.9 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-small.py',
    './hpvit-base-avg-mae_linear-8xb512x4-90e_in1k.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    neck=dict(input_features=384),
    head=dict(in_channels=384),
    backbone=_base_.backbone)
