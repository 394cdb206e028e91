"""k-NN evaluation of DINOv2's plain ViT-S on ImageNet-1K: the baseline.

Recipe    that of MAE's weights, from which it inherits: the average of the
          patches. DINOv2 itself takes the cls token. Patches stay 14 pixels
          wide.
Command   python tools/test.py --untrained \
              configs/imagenet/vit-small-dinov2_knn_in1k.py
Cost      -
Result    not yet evaluated
"""
_base_ = [
    '../_base_/backbones/dinov2-small.py',
    './hpvit-base-avg-mae_knn_in1k.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        patch_size=14,
        patch_stride=14,
        stage_depths=(12, ),
        **_base_.backbone))
