"""k-NN evaluation of the plain ViT-B on ImageNet-1K: the baseline.

Recipe    that of HPViT, from which it inherits
Command   python tools/test.py --untrained \
              configs/imagenet/vit-base-mae_knn_in1k.py
Cost      see tools/model_zoo.py
Result    not yet evaluated
"""
_base_ = './hpvit-base-avg-mae_knn_in1k.py'

model = dict(backbone=dict(patch_stride=16, stage_depths=(12, )))
