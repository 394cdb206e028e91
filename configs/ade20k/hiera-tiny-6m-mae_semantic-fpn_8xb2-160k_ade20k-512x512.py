"""Semantic FPN with Hiera of 6.5 M parameters on ADE20K.

Recipe    MAE-Lite's for ViT-T, see the schedule's file; it has none for
          Hiera. Train configs/pretrain/mae_hiera-tiny-6m_8xb512-400e_in1k.py
          first.
Command   bash tools/dist_train.sh \
              configs/ade20k/hiera-tiny-6m-mae_semantic-fpn_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (16.7 + 42.6 + 118) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 0.45 EFLOPs, 1.0 GPU hours at 125
          TFLOP/s in bf16; 0.61 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/semantic-fpn_hpvit.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/ade20k_mae-lite-160k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='hpvit_mm.Hiera',
        arch='tiny-6m',
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/mae_hiera_tiny_400e.pth')),
    neck=dict(in_channels=[46, 92, 184, 368]),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
