"""Linear probing of a converted DINOv3 ViT-B on ImageNet-1K.

Recipe    that of MAE's weights, from which it inherits: the average of the
          patches. DINOv3 itself adds the cls token and searches the rate.
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-avg-dinov3_linear-8xb512x4-90e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (127 + 0.0015 + 0.0015) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 90 epochs = 14.6 EFLOPs, 32.5 GPU hours at 125
          TFLOP/s in bf16; 33.6 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-base.py',
    './hpvit-base-avg-mae_linear-8xb512x4-90e_in1k.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone)
