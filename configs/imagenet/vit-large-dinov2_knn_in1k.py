"""k-NN evaluation of DINOv2's plain ViT-L on ImageNet-1K: the baseline.

Recipe    that of MAE's weights, from which it inherits: the average of the
          patches. DINOv2 itself takes the cls token. Patches stay 14 pixels
          wide.
Command   python tools/test.py --untrained \
              configs/imagenet/vit-large-dinov2_knn_in1k.py
Cost      (160 + 0) GFLOPs (backbone, heads) x 1,331,167 images = 0.21 EFLOPs,
          7.6 GPU hours at 7.8 TFLOP/s in fp32 (tools/model_zoo.py; not
          measured)
Result    not yet evaluated
"""
_base_ = [
    '../_base_/backbones/dinov2-large.py',
    './hpvit-base-avg-mae_knn_in1k.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        patch_size=14,
        patch_stride=14,
        stage_depths=(24, ),
        **_base_.backbone))
