"""Linear probing of a converted DINOv2 ViT-B on ImageNet-1K.

Recipe    that of MAE's weights, from which it inherits: the average of the
          patches. DINOv2 itself adds the cls token and searches the rate. The
          kernel of 14 pixels is resized to 16, as ViT-Adapter and EoMT do:
          strides of 4 to 32 need it.
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-avg-dinov2_linear-8xb512x4-90e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (124 + 0.0015 + 0.0015) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 90 epochs = 14.3 EFLOPs, 31.8 GPU hours at 125
          TFLOP/s in bf16; 33.0 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov2-base.py',
    './hpvit-base-avg-mae_linear-8xb512x4-90e_in1k.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone)
