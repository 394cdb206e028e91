"""HPViT-H with average pooling, fine-tuned on ImageNet-1K.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-huge-avg-mae_8xb64x2-50e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      6 x (245 + 0.0013) GFLOPs (backbone, heads) x 1,281,167 images x 50
          epochs = 94.3 EFLOPs, 210 GPU hours at 125 TFLOP/s; 44.6 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-huge-conv-mae_8xb64x2-50e_in1k.py'

model = dict(backbone=dict(pooling='avg'))
