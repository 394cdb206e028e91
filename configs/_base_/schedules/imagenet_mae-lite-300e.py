# MAE-Lite's improved fine-tuning of small models (arXiv 2404.12210,
# wangsr126/MAE-Lite, projects/eval_tools/finetuning_exp.py): 300 epochs, lr =
# 1e-3 * 1024 / 256 = 4e-3 for batches of 1024, layer decay 0.85.
_base_ = './imagenet_100e.py'

optim_wrapper = dict(
    optimizer=dict(lr=4e-3), paramwise_cfg=dict(layer_decay_rate=0.85))

max_epochs = 300
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
        eta_min_ratio=2.5e-4,
        by_epoch=True,
        begin=5,
        end=max_epochs,
        convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=max_epochs)
