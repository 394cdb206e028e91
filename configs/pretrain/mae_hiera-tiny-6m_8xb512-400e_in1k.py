"""MAE pre-training of Hiera of 6.5 M parameters on ImageNet-1K for 400 epochs.

Recipe    MAE-Lite's (wangsr126/MAE-Lite, projects/mae_lite/HIERA.md): 40 % of the
          units hidden, a decoder of one block of width 96. Each stage has a norm
          of its own, the official code one of their sum.
Command   bash tools/dist_train.sh \
              configs/pretrain/mae_hiera-tiny-6m_8xb512-400e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1.9 + 0.12 + 4.0) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 400 epochs = 3.1 EFLOPs, 6.9 GPU hours at 125
          TFLOP/s in bf16 (tools/model_zoo.py; not measured)
Result    not yet trained; published after fine-tuning: 78.5 % top-1
          (MAE-Lite)
"""
_base_ = [
    '../_base_/models/mae_vit.py',
    '../_base_/datasets/imagenet_mae-224.py',
    '../_base_/schedules/imagenet_mae-400e.py',
    '../_base_/default_runtime/pretrain.py',
]

model = dict(
    mask_ratio=0.4,
    fixed_position=False,
    backbone=dict(
        _delete_=True,
        type='hpvit_mm.Hiera',
        arch='tiny-6m',
        num_pools=2),
    # tokens of all stages in a patch of 16 pixels: 16, 4, 1 and 1
    neck=dict(
        in_channels=16 * 46 + 4 * 92 + 184 + 368, embed_dims=96, num_layers=1,
        num_heads=3))
