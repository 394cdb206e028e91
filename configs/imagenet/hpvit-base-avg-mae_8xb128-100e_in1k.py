"""HPViT-B with average pooling, fine-tuned on ImageNet-1K.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-avg-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      see tools/model_zoo.py
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(pooling='avg'))
