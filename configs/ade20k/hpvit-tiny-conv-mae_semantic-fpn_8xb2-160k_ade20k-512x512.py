"""Semantic FPN with HPViT-T from MAE-Lite's ViT-T on ADE20K.

Recipe    MAE-Lite's for ViT-T, see the schedule's file. Windows of 16 need no
          padding. Fetch mae_tiny_400e.pth.tar from MAE-Lite's links, or train
          configs/pretrain/mae_vit-tiny_8xb512-400e_in1k.py.
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-tiny-conv-mae_semantic-fpn_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (61.6 + 44.0 + 206) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 0.8 EFLOPs, 1.8 GPU hours at 125
          TFLOP/s in bf16; 1.0 GiB a GPU (tools/model_zoo.py; not measured)
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
        arch=dict(
            _delete_=True,
            embed_dims=192,
            num_layers=12,
            num_heads=12,
            feedforward_channels=768),
        window_size=16,
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/mae_tiny_400e.pth.tar')),
    neck=dict(in_channels=[192, 192, 192, 192]),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
