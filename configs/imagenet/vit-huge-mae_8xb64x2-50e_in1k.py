"""The plain ViT-H under HPViT-H's recipe: the baseline on ImageNet-1K.

Recipe    that of HPViT, from which it inherits; one stage at 1/16 is the plain
          ViT
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-huge-mae_8xb64x2-50e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (251 + 0.0026 + 501) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 50 epochs = 48.2 EFLOPs, 107 GPU hours at 125
          TFLOP/s in bf16; 30.4 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-huge-conv-mae_8xb64x2-50e_in1k.py'

model = dict(backbone=dict(patch_stride=16, stage_depths=(32, )))
