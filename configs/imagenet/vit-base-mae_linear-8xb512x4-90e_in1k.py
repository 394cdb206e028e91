"""Linear probing of the plain ViT-B on ImageNet-1K: the baseline.

Recipe    that of HPViT, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-base-mae_linear-8xb512x4-90e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (34.0 + 0.0015 + 0.0015) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 90 epochs = 3.9 EFLOPs, 8.7 GPU hours at 125
          TFLOP/s in bf16; 2.6 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-avg-mae_linear-8xb512x4-90e_in1k.py'

model = dict(
    backbone=dict(patch_stride=16, stage_depths=(12, ), frozen_stages=1))
