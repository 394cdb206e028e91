"""UperNet with HPViT-B and global attention at all resolutions on ADE20K.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-base-conv-global-mae_upernet_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (2,491 + 441 + 5,844) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 22.5 EFLOPs, 49.9 GPU hours at 125
          TFLOP/s in bf16; 5.9 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_upernet_8xb2-160k_ade20k-512x512.py'

model = dict(backbone=dict(attention='global'))
