"""MAE pre-training of Hiera-B on ImageNet-1K for 400 epochs.

Recipe    MAE's, with 60 % of the units hidden as in the official code
          (github.com/facebookresearch/hiera), whose recipe is not published.
Command   bash tools/dist_train.sh \
              configs/pretrain/mae_hiera-base_8xb512-400e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (9.4 + 10.9 + 40.5) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 400 epochs = 31.1 EFLOPs, 69.2 GPU hours at 125
          TFLOP/s in bf16 (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/mae_vit.py',
    '../_base_/datasets/imagenet_mae-224.py',
    '../_base_/schedules/imagenet_mae-400e.py',
    '../_base_/default_runtime/pretrain.py',
]

model = dict(
    mask_ratio=0.6,
    fixed_position=False,
    backbone=dict(
        _delete_=True,
        type='hpvit_mm.Hiera',
        arch='base',
        num_pools=2),
    # tokens of all stages in a patch of 16 pixels: 16, 4, 1 and 1
    neck=dict(
        in_channels=16 * 96 + 4 * 192 + 384 + 768, embed_dims=512, num_layers=8,
        num_heads=16))
