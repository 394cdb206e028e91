"""k-NN evaluation of the plain ViT-B on ImageNet-1K: the baseline.

Recipe    that of HPViT, from which it inherits
Command   python tools/test.py --untrained \
              configs/imagenet/vit-base-mae_knn_in1k.py
Cost      (34.0 + 0) GFLOPs (backbone, heads) x 1,331,167 images = 0.045
          EFLOPs, 1.6 GPU hours at 7.8 TFLOP/s in fp32 (tools/model_zoo.py; not
          measured)
Result    not yet evaluated
"""
_base_ = './hpvit-base-avg-mae_knn_in1k.py'

model = dict(backbone=dict(patch_stride=16, stage_depths=(12, )))
