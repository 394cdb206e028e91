"""HPViT-L with average pooling, fine-tuned on ImageNet-1K.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-large-avg-mae_8xb128-50e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      6 x (138 + 0.001) GFLOPs (backbone, heads) x 1,281,167 images x 50
          epochs = 53.1 EFLOPs, 118 GPU hours at 125 TFLOP/s; 52.6 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-large-conv-mae_8xb128-50e_in1k.py'

model = dict(backbone=dict(pooling='avg'))
