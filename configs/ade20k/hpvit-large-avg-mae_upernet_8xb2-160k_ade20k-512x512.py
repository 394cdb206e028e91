"""UperNet with HPViT-L and average pooling on ADE20K.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-large-avg-mae_upernet_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      6 x (827 + 224) GFLOPs (backbone, heads) x 16 images x 160,000
          iterations = 16.1 EFLOPs, 35.9 GPU hours at 125 TFLOP/s; 10.0 GiB a
          GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-large-conv-mae_upernet_8xb2-160k_ade20k-512x512.py'

model = dict(backbone=dict(pooling='avg'))
