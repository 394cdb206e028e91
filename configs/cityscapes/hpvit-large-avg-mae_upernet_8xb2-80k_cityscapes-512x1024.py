"""UperNet with HPViT-L and average pooling on Cityscapes.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/cityscapes/hpvit-large-avg-mae_upernet_8xb2-80k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      (3,464 + 891 + 8,659) GFLOPs (backbone, heads, backward pass) x 16
          images x 80,000 iterations = 16.7 EFLOPs, 37.0 GPU hours at 125
          TFLOP/s in bf16; 16.9 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-large-conv-mae_upernet_8xb2-80k_cityscapes-512x1024.py'

model = dict(backbone=dict(pooling='avg'))
