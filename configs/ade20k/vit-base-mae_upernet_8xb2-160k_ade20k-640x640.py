"""UperNet with the plain ViT-B on ADE20K at 640 pixels: the baseline.

Recipe    that of HPViT, from which it inherits. The levels come from ViTDet's
          simple feature pyramid on the last block; mmsegmentation's MAE takes
          them from blocks 4, 6, 8 and 12.
Command   bash tools/dist_train.sh \
              configs/ade20k/vit-base-mae_upernet_8xb2-160k_ade20k-640x640.py 8 \
              --amp --amp-dtype bfloat16
Cost      (368 + 721 + 2,176) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 8.4 EFLOPs, 18.6 GPU hours at 125
          TFLOP/s in bf16; 4.6 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_upernet_8xb2-160k_ade20k-640x640.py'

model = dict(
    backbone=dict(
        patch_stride=16, stage_depths=(12, ), attention='global'),
    neck=dict(type='hpvit_mm.SimpleFeaturePyramid', in_channels=768),
    decode_head=dict(in_channels=[256, 256, 256, 256]),
    auxiliary_head=dict(in_channels=256))
