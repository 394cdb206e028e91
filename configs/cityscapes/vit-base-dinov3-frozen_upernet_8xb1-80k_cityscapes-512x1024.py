"""UperNet on DINOv3's frozen plain ViT-B on Cityscapes: the baseline.

Recipe    that of HPViT, from which it inherits. The levels come from ViTDet's
          simple feature pyramid on the last block.
Command   bash tools/dist_train.sh \
              configs/cityscapes/vit-base-dinov3-frozen_upernet_8xb1-80k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      (507 + 918 + 1,826) GFLOPs (backbone, heads, backward pass) x 8
          images x 80,000 iterations = 2.1 EFLOPs, 4.6 GPU hours at 125 TFLOP/s
          in bf16; 1.7 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-avg-dinov3-frozen_upernet_8xb1-80k_cityscapes-512x1024.py'

model = dict(
    backbone=dict(patch_stride=16, stage_depths=(12, ), frozen_stages=1),
    neck=dict(type='hpvit_mm.SimpleFeaturePyramid', in_channels=768),
    decode_head=dict(in_channels=[256, 256, 256, 256]),
    auxiliary_head=dict(in_channels=256))
