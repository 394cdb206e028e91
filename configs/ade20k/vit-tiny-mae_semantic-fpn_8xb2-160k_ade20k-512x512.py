"""Semantic FPN with the plain ViT-T on ADE20K: the baseline.

Recipe    that of HPViT, from which it inherits. The levels come from ViTDet's
          simple feature pyramid. MAE-Lite's 39.0 mIoU (D2-MAE) is of a
          distilled pre-training.
Command   bash tools/dist_train.sh \
              configs/ade20k/vit-tiny-mae_semantic-fpn_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (20.8 + 43.0 + 127) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 0.49 EFLOPs, 1.1 GPU hours at 125
          TFLOP/s in bf16; 0.62 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-tiny-conv-mae_semantic-fpn_8xb2-160k_ade20k-512x512.py'

model = dict(
    backbone=dict(
        patch_stride=16, stage_depths=(12, ), attention='global'),
    neck=dict(
        _delete_=True,
        type='hpvit_mm.SimpleFeaturePyramid',
        in_channels=192))
