"""HPViT-S with average pooling, fine-tuned on ImageNet-1K.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-small-avg-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      6 x (16.6 + 0.00038) GFLOPs (backbone, heads) x 1,281,167 images x
          100 epochs = 12.7 EFLOPs, 28.3 GPU hours at 125 TFLOP/s; 14.4 GiB a
          GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-small-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(pooling='avg'))
