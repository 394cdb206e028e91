"""UperNet with HPViT-B and average pooling on ADE20K.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-base-avg-mae_upernet_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      6 x (373 + 220) GFLOPs (backbone, heads) x 16 images x 160,000
          iterations = 9.1 EFLOPs, 20.2 GPU hours at 125 TFLOP/s; 4.6 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_upernet_8xb2-160k_ade20k-512x512.py'

model = dict(backbone=dict(pooling='avg'))
