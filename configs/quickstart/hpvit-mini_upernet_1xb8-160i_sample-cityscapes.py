"""Quick start: label a street scene made of real textures.

The Cityscapes experiment with a small backbone, narrow heads, small images,
the same nineteen classes (eight of them occur) and a short schedule. It begins
with the small plain ViT beside this file, which
vit-mini_1xb64-300e_sample-imagenet.py trained. Make the data with
tools/make_sample_data.py.

Command   python tools/train.py \
              configs/quickstart/hpvit-mini_upernet_1xb8-160i_sample-cityscapes.py
"""
_base_ = [
    '../_base_/models/upernet_hpvit.py',
    '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/schedules/cityscapes_80k.py',
    '../_base_/default_runtime/mmseg.py',
]

crop_size = (96, 192)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        arch=dict(
            _delete_=True,
            embed_dims=96,
            num_layers=6,
            num_heads=3,
            feedforward_channels=384),
        stage_depths=(1, 1, 3, 1),
        # grid of the pre-training, as in the checkpoint
        img_size=64,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='{{ fileDirname }}/vit-mini_sample-imagenet.pth')),
    decode_head=dict(
        in_channels=[96, 96, 96, 96], channels=64, num_classes=19),
    auxiliary_head=dict(in_channels=96, channels=64, num_classes=19))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomResize',
        scale=(192, 96),
        ratio_range=(0.8, 1.25),
        keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(192, 96), keep_ratio=True),
    # after the resizing: the ground truth stays as it is
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
data_root = 'data/samples/cityscapes/'
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=1,
    dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader

max_iters = 160
optim_wrapper = dict(
    optimizer=dict(lr=2e-3),
    # nothing is pre-trained here that early layers would have to keep
    paramwise_cfg=dict(layer_decay_rate=1.0))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=50),
    dict(
        type='PolyLR',
        eta_min=0.0,
        power=1.0,
        begin=50,
        end=max_iters,
        by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=80)
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=80))
auto_scale_lr = dict(base_batch_size=8)
randomness = dict(seed=0)
