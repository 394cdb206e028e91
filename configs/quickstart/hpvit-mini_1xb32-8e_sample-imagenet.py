"""Quick start: classify handwritten digits over photographs.

The ImageNet experiment with a small backbone, small images, ten classes and
a short schedule. It starts from the small plain ViT beside this file, which
vit-mini_1xb64-300e_sample-imagenet.py trained. Make the data with
tools/make_sample_data.py.

Command   python tools/train.py \
              configs/quickstart/hpvit-mini_1xb32-8e_sample-imagenet.py
"""
_base_ = [
    '../_base_/models/hpvit_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/imagenet_100e.py',
    '../_base_/default_runtime/mmpretrain.py',
]

classes = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven',
           'eight', 'nine')
model = dict(
    data_preprocessor=dict(num_classes=10),
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
    head=dict(num_classes=10, in_channels=96),
    # no Mixup: mixed digits are no digits
    train_cfg=dict(_delete_=True))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    # digits are turned a little, and not mirrored
    dict(type='RandomResizedCrop', scale=64, crop_ratio_range=(0.6, 1.0)),
    dict(type='Rotate', angle=15., prob=0.5, random_negative_prob=0.5),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=64, edge='short'),
    dict(type='CenterCrop', crop_size=64),
    dict(type='PackInputs'),
]
dataset = dict(
    data_root='data/samples/imagenet', metainfo=dict(classes=classes))
train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    dataset=dict(pipeline=train_pipeline, **dataset))
val_dataloader = dict(
    num_workers=1, dataset=dict(pipeline=test_pipeline, **dataset))
test_dataloader = val_dataloader

max_epochs = 8
optim_wrapper = dict(
    optimizer=dict(lr=2e-3),
    # nothing is pre-trained here that early layers would have to keep
    paramwise_cfg=dict(layer_decay_rate=1.0))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-2,
        by_epoch=True,
        begin=0,
        end=1,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        by_epoch=True,
        begin=1,
        end=max_epochs,
        convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=4)
default_hooks = dict(logger=dict(interval=15))
auto_scale_lr = dict(base_batch_size=32)
randomness = dict(seed=0)
