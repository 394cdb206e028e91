"""HPViT-L with average pooling, fine-tuned on ImageNet-1K.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-large-avg-mae_8xb128-50e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (276 + 0.002 + 548) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 50 epochs = 52.8 EFLOPs, 117 GPU hours at 125
          TFLOP/s in bf16; 53.9 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-large-conv-mae_8xb128-50e_in1k.py'

model = dict(backbone=dict(pooling='avg'))
