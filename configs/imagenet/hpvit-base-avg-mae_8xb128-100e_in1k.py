"""HPViT-B with average pooling, fine-tuned on ImageNet-1K.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-avg-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      6 x (61.7 + 0.00077) GFLOPs (backbone, heads) x 1,281,167 images x
          100 epochs = 47.4 EFLOPs, 105 GPU hours at 125 TFLOP/s; 29.3 GiB a
          GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(pooling='avg'))
