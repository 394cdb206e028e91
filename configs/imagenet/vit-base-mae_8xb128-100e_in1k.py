"""The plain ViT-B under HPViT-B's recipe: the baseline on ImageNet-1K.

Recipe    that of HPViT, from which it inherits; one stage at 1/16 is the plain
          ViT
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-base-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (34.0 + 0.0015 + 67.8) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 13.0 EFLOPs, 29.0 GPU hours at 125
          TFLOP/s in bf16; 9.8 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; published: 83.6 % top-1 (facebookresearch/mae)
"""
_base_ = './hpvit-base-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(patch_stride=16, stage_depths=(12, )))
