"""HPViT-B with stage depths (1, 1, 9, 1), fine-tuned on ImageNet-1K.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-conv-1191-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (92.9 + 0.0015 + 182) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 35.2 EFLOPs, 78.3 GPU hours at 125
          TFLOP/s in bf16; 21.8 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(stage_depths=(1, 1, 9, 1)))
