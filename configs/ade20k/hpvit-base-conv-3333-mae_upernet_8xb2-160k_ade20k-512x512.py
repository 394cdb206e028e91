"""UperNet with HPViT-B and stage depths (3, 3, 3, 3) on ADE20K.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-base-conv-3333-mae_upernet_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,028 + 441 + 2,917) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 11.2 EFLOPs, 24.9 GPU hours at 125
          TFLOP/s in bf16; 6.8 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_upernet_8xb2-160k_ade20k-512x512.py'

model = dict(backbone=dict(stage_depths=(3, 3, 3, 3)))
