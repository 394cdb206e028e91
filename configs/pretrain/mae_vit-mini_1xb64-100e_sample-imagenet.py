"""MAE pre-training of a small plain ViT on the sample data, for a CPU.

The quick start's plain ViT (6 blocks of width 96) on its images of 64 pixels.
Make the data with tools/make_sample_data.py. The checkpoint is the start of
any of the quick start's experiments:

    python tools/train.py \
        configs/pretrain/mae_vit-mini_1xb64-100e_sample-imagenet.py
    python tools/train.py \
        configs/quickstart/hpvit-mini_1xb32-8e_sample-imagenet.py \
        --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
"""
_base_ = [
    '../_base_/models/mae_vit.py',
    '../_base_/datasets/imagenet_mae-224.py',
    '../_base_/schedules/imagenet_mae-400e.py',
    '../_base_/default_runtime/pretrain.py',
]

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True,
            embed_dims=96,
            num_layers=6,
            num_heads=3,
            feedforward_channels=384),
        stage_depths=(6, ),
        img_size=64),
    neck=dict(
        in_channels=96, img_size=64, embed_dims=64, num_layers=2,
        num_heads=4))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    # digits are not mirrored
    dict(type='RandomResizedCrop', scale=64, crop_ratio_range=(0.4, 1.0)),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    dataset=dict(
        data_root='data/samples/imagenet', pipeline=train_pipeline))

max_epochs = 100
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-2,
        by_epoch=True,
        begin=0,
        end=5,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.,
        by_epoch=True,
        begin=5,
        end=max_epochs,
        convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=max_epochs)
default_hooks = dict(
    logger=dict(interval=15), checkpoint=dict(interval=20, max_keep_ckpts=1))
auto_scale_lr = dict(base_batch_size=64)
randomness = dict(seed=0)
