"""The plain ViT-B under HPViT-B's recipe: the baseline on ImageNet-1K.

Recipe    that of HPViT, from which it inherits; one stage at 1/16 is the plain
          ViT
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-base-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      6 x (17.0 + 0.00077) GFLOPs (backbone, heads) x 1,281,167 images x
          100 epochs = 13.1 EFLOPs, 29.1 GPU hours at 125 TFLOP/s; 9.1 GiB a
          GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(patch_stride=16, stage_depths=(12, )))
