# Supervised training from random weights as of Swin and HiViT
# (github.com/zhangxiaosong18/hivit, supervised): AdamW, lr = 5e-4 * 1024 / 512
# = 1e-3 for batches of 1024, 20 epochs of warm-up, cosine to 1e-5.
_base_ = './imagenet_100e.py'

optim_wrapper = dict(
    optimizer=dict(lr=1e-3), paramwise_cfg=dict(layer_decay_rate=1.0))

max_epochs = 300
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-3,
        by_epoch=True,
        begin=0,
        end=20,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min_ratio=1e-2,
        by_epoch=True,
        begin=20,
        end=max_epochs,
        convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=max_epochs)
