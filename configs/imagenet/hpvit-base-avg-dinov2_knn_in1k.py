"""k-NN evaluation of a converted DINOv2 ViT-B on ImageNet-1K.

Recipe    that of MAE's weights, from which it inherits: the average of the
          patches. DINOv2 itself takes the cls token. The kernel of 14 pixels
          is resized to 16, as ViT-Adapter and EoMT do: strides of 4 to 32 need
          it.
Command   python tools/test.py --untrained \
              configs/imagenet/hpvit-base-avg-dinov2_knn_in1k.py
Cost      -
Result    not yet evaluated
"""
_base_ = [
    '../_base_/backbones/dinov2-base.py',
    './hpvit-base-avg-mae_knn_in1k.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone)
