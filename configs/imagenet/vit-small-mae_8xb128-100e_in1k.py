"""The plain ViT-S under HPViT-S's recipe: the baseline on ImageNet-1K.

Recipe    that of HPViT, from which it inherits; one stage at 1/16 is the plain
          ViT
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-small-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (8.9 + 0.00077 + 17.7) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 3.4 EFLOPs, 7.6 GPU hours at 125
          TFLOP/s in bf16; 4.5 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-small-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(patch_stride=16, stage_depths=(12, )))
