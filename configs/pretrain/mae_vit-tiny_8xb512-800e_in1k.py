"""MAE pre-training of ViT-T on ImageNet-1K for 800 epochs.

Recipe    MAE-Lite (wangsr126/MAE-Lite, projects/mae_lite): 12 heads, a
          decoder of one block of width 96
Command   bash tools/dist_train.sh \
              configs/pretrain/mae_vit-tiny_8xb512-800e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (0.57 + 0.089 + 1.3) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 800 epochs = 2.0 EFLOPs, 4.5 GPU hours at 125
          TFLOP/s in bf16 (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/mae_vit.py',
    '../_base_/datasets/imagenet_mae-224.py',
    '../_base_/schedules/imagenet_mae-800e.py',
    '../_base_/default_runtime/pretrain.py',
]

model = dict(
    backbone=dict(arch=dict(
        _delete_=True, embed_dims=192, num_layers=12, num_heads=12,
        feedforward_channels=768)),
    neck=dict(in_channels=192, embed_dims=96, num_layers=1, num_heads=3))
