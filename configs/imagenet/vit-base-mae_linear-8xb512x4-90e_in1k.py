"""Linear probing of the plain ViT-B on ImageNet-1K: the baseline.

Recipe    that of HPViT, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-base-mae_linear-8xb512x4-90e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      2 x 17.0 + 6 x 0.00077 GFLOPs (frozen, trained) x 1,281,167 images x
          90 epochs = 3.9 EFLOPs, 8.7 GPU hours at 125 TFLOP/s; 2.1 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-avg-mae_linear-8xb512x4-90e_in1k.py'

model = dict(
    backbone=dict(patch_stride=16, stage_depths=(12, ), frozen_stages=1))
