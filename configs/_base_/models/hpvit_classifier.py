# HPViT-B with mmpretrain's linear head on the average of the last stage.
# Head as in MAE's fine-tuning: pooling, norm, a linear layer that starts near
# zero (github.com/facebookresearch/mae, FINETUNE.md).
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        num_classes=1000,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True),
    backbone=dict(
        type='hpvit_mm.HPViT',
        arch='base',
        pooling='conv',
        drop_path_rate=0.1,
        out_type='avg_featmap'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=768,
        loss=dict(
            type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=[dict(type='TruncNormal', layer='Linear', std=2e-5)]),
    train_cfg=dict(augments=[
        dict(type='Mixup', alpha=0.8),
        dict(type='CutMix', alpha=1.0)
    ]))
