"""MAE adaptation of HPViT-B, converted from MAE's ViT-B, on ImageNet-1K.

Recipe    ours: 20 epochs of MAE on the hierarchical network itself, which starts
          from plain weights. Units of 32 pixels, at the last stage's tokens; a
          quarter of MAE's rate, 2 epochs of warm-up.
Command   bash tools/dist_train.sh \
              configs/pretrain/mae_hpvit-base-conv-mae_8xb128x4-20e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (34.0 + 2.7 + 72.5) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 20 epochs = 2.8 EFLOPs, 6.2 GPU hours at 125
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
    backbone=dict(
        _delete_=True,
        type='hpvit_mm.HPViT',
        arch='base',
        pooling='conv',
        out_indices=3,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_base.pth')),
    neck=dict(patch_size=32),
    head=dict(patch_size=32))

max_epochs = 20
optim_wrapper = dict(optimizer=dict(lr=6e-4), accumulative_counts=4)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        by_epoch=True,
        begin=0,
        end=2,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.,
        by_epoch=True,
        begin=2,
        end=max_epochs,
        convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=max_epochs)
train_dataloader = dict(batch_size=128)
