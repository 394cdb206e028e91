"""UperNet with HPViT-B and average pooling on ADE20K.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-base-avg-mae_upernet_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (746 + 441 + 2,353) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 9.1 EFLOPs, 20.1 GPU hours at 125
          TFLOP/s in bf16; 5.7 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_upernet_8xb2-160k_ade20k-512x512.py'

model = dict(backbone=dict(pooling='avg'))
