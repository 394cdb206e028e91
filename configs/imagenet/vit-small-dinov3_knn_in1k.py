"""k-NN evaluation of DINOv3's plain ViT-S on ImageNet-1K: the baseline.

Recipe    that of MAE's weights, from which it inherits: the average of the
          patches. DINOv3 itself takes the cls token.
Command   python tools/test.py --untrained \
              configs/imagenet/vit-small-dinov3_knn_in1k.py
Cost      (9.2 + 0) GFLOPs (backbone, heads) x 1,331,167 images = 0.012 EFLOPs,
          0.43 GPU hours at 7.8 TFLOP/s in fp32 (tools/model_zoo.py; not
          measured)
Result    not yet evaluated
"""
_base_ = [
    '../_base_/backbones/dinov3-small.py',
    './hpvit-base-avg-mae_knn_in1k.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        patch_stride=16,
        stage_depths=(12, ),
        **_base_.backbone))
