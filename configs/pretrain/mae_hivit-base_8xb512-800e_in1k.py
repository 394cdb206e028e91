"""MAE pre-training of HiViT-B on ImageNet-1K for 800 epochs.

Recipe    the official one (zhangxiaosong18/hivit, self_supervised): lr 1e-4 *
          4096 / 256 = 1.6e-3, a decoder of 6 blocks on the features of all three
          stages. Each stage has a norm of its own, the official code one of all.
Command   bash tools/dist_train.sh \
              configs/pretrain/mae_hivit-base_8xb512-800e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (7.6 + 8.2 + 31.6) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 800 epochs = 48.7 EFLOPs, 108 GPU hours at 125
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
    backbone=dict(
        _delete_=True,
        type='hpvit_mm.HiViT',
        arch='base',
        out_indices=(0, 1, 2)),
    # 16 tokens of 128 channels, 4 of 256 and 1 of 512 in a unit
    neck=dict(in_channels=16 * 128 + 4 * 256 + 512, num_layers=6))

optim_wrapper = dict(optimizer=dict(lr=1.6e-3))
