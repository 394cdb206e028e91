"""Linear probing of a converted DINOv2 ViT-L on ImageNet-1K.

Recipe    that of MAE's weights, from which it inherits: the average of the
          patches. DINOv2 itself adds the cls token and searches the rate. The
          kernel of 14 pixels is resized to 16, as ViT-Adapter and EoMT do:
          strides of 4 to 32 need it.
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-large-avg-dinov2_linear-8xb512x4-90e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (278 + 0.002 + 0.002) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 90 epochs = 32.0 EFLOPs, 71.2 GPU hours at 125
          TFLOP/s in bf16; 44.5 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov2-large.py',
    './hpvit-base-avg-mae_linear-8xb512x4-90e_in1k.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    neck=dict(input_features=1024),
    head=dict(in_channels=1024),
    backbone=_base_.backbone)
