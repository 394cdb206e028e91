"""UperNet with HPViT-B and average pooling on Cityscapes.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/cityscapes/hpvit-base-avg-mae_upernet_8xb2-80k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,530 + 876 + 4,775) GFLOPs (backbone, heads, backward pass) x 16
          images x 80,000 iterations = 9.2 EFLOPs, 20.4 GPU hours at 125
          TFLOP/s in bf16; 8.9 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_upernet_8xb2-80k_cityscapes-512x1024.py'

model = dict(backbone=dict(pooling='avg'))
