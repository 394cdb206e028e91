"""UperNet with the plain ViT-B on Cityscapes at 769 pixels: the baseline.

Recipe    that of HPViT, from which it inherits. The levels come from ViTDet's
          simple feature pyramid on the last block; mmsegmentation's MAE takes
          them from blocks 4, 6, 8 and 12.
Command   bash tools/dist_train.sh \
              configs/cityscapes/vit-base-mae_upernet_8xb2-80k_cityscapes-769x769.py 8 \
              --amp --amp-dtype bfloat16
Cost      (623 + 1,077 + 3,398) GFLOPs (backbone, heads, backward pass) x 16
          images x 80,000 iterations = 6.5 EFLOPs, 14.5 GPU hours at 125
          TFLOP/s in bf16; 5.6 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_upernet_8xb2-80k_cityscapes-769x769.py'

model = dict(
    backbone=dict(
        patch_stride=16, stage_depths=(12, ), attention='global'),
    neck=dict(type='hpvit_mm.SimpleFeaturePyramid', in_channels=768),
    decode_head=dict(in_channels=[256, 256, 256, 256]),
    auxiliary_head=dict(in_channels=256))
