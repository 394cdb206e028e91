# DINOv2's linear segmentation of ADE20K (facebookresearch/dinov2): AdamW 1e-3,
# weight decay 1e-4, batches of 16, 1500 iterations of warm-up, then linear to
# zero.
_base_ = './ade20k_160k.py'

optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=1e-4,
        fused=True))

max_iters = 40000
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
