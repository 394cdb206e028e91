# No plain MAE baseline on Cityscapes is published: ADE20K's rates, and the
# 80,000 iterations that are usual on this set.
_base_ = './ade20k_160k.py'

max_iters = 80000
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(
        type='PolyLR',
        eta_min=0.0,
        power=1.0,
        begin=1500,
        end=max_iters,
        by_epoch=False),
]

train_cfg = dict(max_iters=max_iters, val_interval=8000)
