"""UperNet with HPViT-L and average pooling on ADE20K.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-large-avg-mae_upernet_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,654 + 448 + 4,179) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 16.1 EFLOPs, 35.7 GPU hours at 125
          TFLOP/s in bf16; 12.0 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-large-conv-mae_upernet_8xb2-160k_ade20k-512x512.py'

model = dict(backbone=dict(pooling='avg'))
