"""HPViT-B with stage depths (3, 3, 3, 3), fine-tuned on ImageNet-1K.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-conv-3333-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (193 + 0.0015 + 382) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 73.6 EFLOPs, 164 GPU hours at 125
          TFLOP/s in bf16; 44.1 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(stage_depths=(3, 3, 3, 3)))
