"""k-NN evaluation of a converted DINOv2 ViT-S on ImageNet-1K.

Recipe    that of MAE's weights, from which it inherits: the average of the
          patches. DINOv2 itself takes the cls token. The kernel of 14 pixels
          is resized to 16, as ViT-Adapter and EoMT do: strides of 4 to 32 need
          it.
Command   python tools/test.py --untrained \
              configs/imagenet/hpvit-small-avg-dinov2_knn_in1k.py
Cost      (33.3 + 0) GFLOPs (backbone, heads) x 1,331,167 images = 0.044
          EFLOPs, 1.6 GPU hours at 7.8 TFLOP/s in fp32 (tools/model_zoo.py; not
          measured)
Result    not yet evaluated
"""
_base_ = [
    '../_base_/backbones/dinov2-small.py',
    './hpvit-base-avg-mae_knn_in1k.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone)
