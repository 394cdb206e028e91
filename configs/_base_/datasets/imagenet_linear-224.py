# ImageNet-1K at 224 pixels for linear probing: crops and flips alone
# (facebookresearch/mae, main_linprobe.py).
_base_ = './imagenet_224.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomResizedCrop',
        scale=224,
        backend='pillow',
        interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]

train_dataloader = dict(batch_size=512, dataset=dict(pipeline=train_pipeline))
