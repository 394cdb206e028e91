"""UperNet with HPViT-L and average pooling on Cityscapes.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/cityscapes/hpvit-large-avg-mae_upernet_8xb2-80k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      6 x (1,732 + 446) GFLOPs (backbone, heads) x 16 images x 80,000
          iterations = 16.7 EFLOPs, 37.2 GPU hours at 125 TFLOP/s; 14.3 GiB a
          GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-large-conv-mae_upernet_8xb2-80k_cityscapes-512x1024.py'

model = dict(backbone=dict(pooling='avg'))
