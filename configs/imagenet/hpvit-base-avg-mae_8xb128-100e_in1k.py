"""HPViT-B with average pooling, fine-tuned on ImageNet-1K.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-avg-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (123 + 0.0015 + 243) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 46.9 EFLOPs, 104 GPU hours at 125
          TFLOP/s in bf16; 29.7 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(pooling='avg'))
