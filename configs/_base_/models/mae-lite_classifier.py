# MAE-Lite's ViT-T (12 heads) with a linear head: Mixup of 0.2 alone, no label
# smoothing, no drop path (wangsr126/MAE-Lite, projects/eval_tools).
_base_ = './hpvit_classifier.py'

model = dict(
    data_preprocessor=dict(to_onehot=True),
    backbone=dict(
        arch=dict(
            _delete_=True,
            embed_dims=192,
            num_layers=12,
            num_heads=12,
            feedforward_channels=768),
        drop_path_rate=0.),
    head=dict(
        in_channels=192,
        loss=dict(_delete_=True, type='CrossEntropyLoss', use_soft=True)),
    train_cfg=dict(
        _delete_=True, augments=[dict(type='Mixup', alpha=0.2)]))
