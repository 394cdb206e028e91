"""The plain ViT-L under HPViT-L's recipe: the baseline on ImageNet-1K.

Recipe    that of HPViT, from which it inherits; one stage at 1/16 is the plain
          ViT
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-large-mae_8xb128-50e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (121 + 0.002 + 241) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 50 epochs = 23.2 EFLOPs, 51.6 GPU hours at 125
          TFLOP/s in bf16; 27.3 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-large-conv-mae_8xb128-50e_in1k.py'

model = dict(backbone=dict(patch_stride=16, stage_depths=(24, )))
