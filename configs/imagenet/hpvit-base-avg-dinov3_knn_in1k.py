"""k-NN evaluation of a converted DINOv3 ViT-B on ImageNet-1K.

Recipe    that of MAE's weights, from which it inherits: the average of the
          patches. DINOv3 itself takes the cls token.
Command   python tools/test.py --untrained \
              configs/imagenet/hpvit-base-avg-dinov3_knn_in1k.py
Cost      (127 + 0) GFLOPs (backbone, heads) x 1,331,167 images = 0.17 EFLOPs,
          6.0 GPU hours at 7.8 TFLOP/s in fp32 (tools/model_zoo.py; not
          measured)
Result    not yet evaluated
"""
_base_ = [
    '../_base_/backbones/dinov3-base.py',
    './hpvit-base-avg-mae_knn_in1k.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone)
