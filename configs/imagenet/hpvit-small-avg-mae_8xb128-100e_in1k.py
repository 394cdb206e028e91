"""HPViT-S with average pooling, fine-tuned on ImageNet-1K.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-small-avg-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (33.1 + 0.00077 + 64.4) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 12.5 EFLOPs, 27.8 GPU hours at 125
          TFLOP/s in bf16; 14.5 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-small-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(pooling='avg'))
