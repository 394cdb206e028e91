"""k-NN evaluation of the plain ViT-B on ImageNet-1K: the baseline.

Recipe    that of HPViT, from which it inherits
Command   python tools/test.py --untrained \
              configs/imagenet/vit-base-mae_knn_in1k.py
Cost      2 x (17.0 + 0) GFLOPs (backbone, heads) x 1,331,167 images = 0.045
          EFLOPs, 0.1 GPU hours at 125 TFLOP/s (tools/model_zoo.py; not
          measured)
Result    not yet evaluated
"""
_base_ = './hpvit-base-avg-mae_knn_in1k.py'

model = dict(backbone=dict(patch_stride=16, stage_depths=(12, )))
