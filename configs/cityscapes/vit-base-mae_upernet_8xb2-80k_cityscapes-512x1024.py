"""UperNet with the plain ViT-B: the baseline on Cityscapes.

Recipe    that of HPViT, from which it inherits. The levels come from ViTDet's
          simple feature pyramid on the last block; mmsegmentation's MAE takes
          them from blocks 4, 6, 8 and 12.
Command   bash tools/dist_train.sh \
              configs/cityscapes/vit-base-mae_upernet_8xb2-80k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      (505 + 918 + 2,844) GFLOPs (backbone, heads, backward pass) x 16
          images x 80,000 iterations = 5.5 EFLOPs, 12.1 GPU hours at 125
          TFLOP/s in bf16; 5.1 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_upernet_8xb2-80k_cityscapes-512x1024.py'

model = dict(
    backbone=dict(
        patch_stride=16, stage_depths=(12, ), attention='global'),
    neck=dict(type='hpvit_mm.SimpleFeaturePyramid', in_channels=768),
    decode_head=dict(in_channels=[256, 256, 256, 256]),
    auxiliary_head=dict(in_channels=256))
