# MAE's fine-tuning of ViT-L and ViT-H (github.com/facebookresearch/mae,
# FINETUNE.md): lr = 1e-3 * 1024 / 256 = 4e-3, layer decay 0.75, 50 epochs;
# the rest as for ViT-B.
_base_ = './imagenet_100e.py'

optim_wrapper = dict(
    optimizer=dict(lr=4e-3), paramwise_cfg=dict(layer_decay_rate=0.75))

max_epochs = 50
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        by_epoch=True,
        begin=0,
        end=5,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        # 1e-6 of the full rate, and in proportion for each depth
        eta_min_ratio=2.5e-4,
        by_epoch=True,
        begin=5,
        end=max_epochs,
        convert_to_iter_based=True),
]

train_cfg = dict(max_epochs=max_epochs)
