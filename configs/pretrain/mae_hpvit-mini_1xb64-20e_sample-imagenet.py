"""MAE adaptation of a small converted HPViT on the sample data, for a CPU.

It starts from the quick start's plain ViT, and its checkpoint starts any of
the quick start's experiments. The images have 64 pixels, 2 x 2 units, of which
one is visible. Make the data with tools/make_sample_data.py.

    python tools/train.py \
        configs/pretrain/mae_hpvit-mini_1xb64-20e_sample-imagenet.py
"""
_base_ = './mae_vit-mini_1xb64-100e_sample-imagenet.py'

model = dict(
    backbone=dict(
        patch_stride=4,
        stage_depths=(1, 1, 3, 1),
        out_indices=3,
        with_cls_token=False,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='{{ fileDirname }}/../quickstart/'
            'vit-mini_sample-imagenet.pth')),
    neck=dict(patch_size=32),
    head=dict(patch_size=32))

max_epochs = 20
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-2,
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
optim_wrapper = dict(optimizer=dict(lr=5e-4))
train_cfg = dict(max_epochs=max_epochs)
