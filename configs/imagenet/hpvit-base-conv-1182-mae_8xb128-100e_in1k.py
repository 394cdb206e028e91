"""HPViT-B with stage depths (1, 1, 8, 2), fine-tuned on ImageNet-1K.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-conv-1182-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (90.7 + 0.0015 + 178) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 34.4 EFLOPs, 76.4 GPU hours at 125
          TFLOP/s in bf16; 21.3 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(stage_depths=(1, 1, 8, 2)))
