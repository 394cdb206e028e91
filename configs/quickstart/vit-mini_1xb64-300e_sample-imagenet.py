"""The plain ViT that the quick start's experiments start from.

A one-stage HPViT, which is a plain ViT with patches of 16 pixels, trained on
the training split of the sample ImageNet set, from random weights. Its
backbone is shipped as configs/quickstart/vit-mini_sample-imagenet.pth; this is
the recipe to make it again:

    python tools/train.py \
        configs/quickstart/vit-mini_1xb64-300e_sample-imagenet.py
    python tools/convert_checkpoint.py \
        work_dirs/vit-mini_1xb64-300e_sample-imagenet/epoch_300.pth \
        configs/quickstart/vit-mini_sample-imagenet.pth
"""
_base_ = './hpvit-mini_1xb32-8e_sample-imagenet.py'

model = dict(
    backbone=dict(
        patch_stride=16,
        stage_depths=(6, ),
        drop_path_rate=0.1,
        init_cfg=None))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=64, crop_ratio_range=(0.5, 1.0)),
    dict(type='Rotate', angle=15., prob=0.5, random_negative_prob=0.5),
    dict(
        type='ColorJitter',
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        backend='cv2'),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))

max_epochs = 300
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
        eta_min=1e-6,
        by_epoch=True,
        begin=5,
        end=max_epochs,
        convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=20)
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=20, max_keep_ckpts=1))
auto_scale_lr = dict(base_batch_size=64)
