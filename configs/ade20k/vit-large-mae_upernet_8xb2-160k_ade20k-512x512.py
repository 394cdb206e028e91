"""UperNet with the plain ViT-L: the baseline on ADE20K.

Recipe    that of HPViT, from which it inherits. The levels come from ViTDet's
          simple feature pyramid on the last block.
Command   bash tools/dist_train.sh \
              configs/ade20k/vit-large-mae_upernet_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (723 + 468 + 2,381) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 9.1 EFLOPs, 20.3 GPU hours at 125
          TFLOP/s in bf16; 9.4 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-large-conv-mae_upernet_8xb2-160k_ade20k-512x512.py'

model = dict(
    backbone=dict(
        patch_stride=16, stage_depths=(24, ), attention='global'),
    neck=dict(type='hpvit_mm.SimpleFeaturePyramid', in_channels=1024),
    decode_head=dict(in_channels=[256, 256, 256, 256]),
    auxiliary_head=dict(in_channels=256))
