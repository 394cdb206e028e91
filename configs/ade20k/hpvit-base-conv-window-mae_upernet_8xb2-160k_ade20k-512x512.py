"""UperNet with HPViT-B and windows at 1/4 and 1/8 on ADE20K.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-base-conv-window-mae_upernet_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (771 + 441 + 2,403) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 9.3 EFLOPs, 20.6 GPU hours at 125
          TFLOP/s in bf16; 5.9 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_upernet_8xb2-160k_ade20k-512x512.py'

model = dict(
    backbone=dict(attention=('window', 'window', 'global', 'global')))
