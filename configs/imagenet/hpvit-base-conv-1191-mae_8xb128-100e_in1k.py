"""HPViT-B with stage depths (1, 1, 9, 1), fine-tuned on ImageNet-1K.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-conv-1191-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      6 x (46.5 + 0.00077) GFLOPs (backbone, heads) x 1,281,167 images x
          100 epochs = 35.7 EFLOPs, 79.4 GPU hours at 125 TFLOP/s; 21.3 GiB a
          GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(stage_depths=(1, 1, 9, 1)))
