"""The plain ViT-T under HPViT-T's recipe: the baseline on ImageNet-1K.

Recipe    that of HPViT, from which it inherits; one stage at 1/16 is the plain
          ViT
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-tiny-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (2.4 + 0.00038 + 4.8) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 0.93 EFLOPs, 2.1 GPU hours at 125
          TFLOP/s in bf16; 2.2 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-tiny-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(patch_stride=16, stage_depths=(12, )))
