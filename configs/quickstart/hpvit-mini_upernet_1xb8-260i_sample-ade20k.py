"""Quick start: label handwritten digits, photographs and textures.

The ADE20K experiment with a small backbone, narrow heads, small images, five
classes and a short schedule. It starts from the small plain ViT beside this
file, which vit-mini_1xb64-300e_sample-imagenet.py trained. Make the data with
tools/make_sample_data.py.

Command   python tools/train.py \
              configs/quickstart/hpvit-mini_upernet_1xb8-260i_sample-ade20k.py
"""
_base_ = [
    '../_base_/models/upernet_hpvit.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/ade20k_160k.py',
    '../_base_/default_runtime/mmseg.py',
]

metainfo = dict(
    classes=('photograph', 'brick', 'gravel', 'grass', 'digit'),
    palette=[[120, 120, 180], [180, 90, 70], [140, 140, 140], [80, 160, 60],
             [255, 225, 25]])
crop_size = (96, 96)
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
        in_channels=[96, 96, 96, 96], channels=64, num_classes=5),
    auxiliary_head=dict(in_channels=96, channels=64, num_classes=5))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomResize',
        scale=crop_size,
        ratio_range=(0.8, 1.25),
        keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    # digits are not mirrored
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=crop_size, keep_ratio=True),
    # after the resizing: the ground truth stays as it is
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[[
            dict(
                type='Resize',
                scale=tuple(int(side * ratio) for side in crop_size),
                keep_ratio=True) for ratio in (0.75, 1.0, 1.25)
        ], [dict(type='LoadAnnotations')], [dict(type='PackSegInputs')]]),
]
data_root = 'data/samples/ade/ADEChallengeData2016'
# ADE20KDataset allows no other classes than its own 150: this is the class
# under it, told the same about the files.
dataset = dict(
    type='BaseSegDataset',
    data_root=data_root,
    metainfo=metainfo,
    img_suffix='.jpg',
    seg_map_suffix='.png')
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(pipeline=train_pipeline, **dataset))
val_dataloader = dict(
    num_workers=1, dataset=dict(pipeline=test_pipeline, **dataset))
test_dataloader = val_dataloader

max_iters = 260
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
train_cfg = dict(max_iters=max_iters, val_interval=130)
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=130))
auto_scale_lr = dict(base_batch_size=8)
randomness = dict(seed=0)
