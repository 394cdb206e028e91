# HiViT's training on ADE20K (github.com/zhangxiaosong18/hivit, segmentation):
# AdamW 1e-3 for batches of 32, layer decay 0.75, 750 iterations of warm-up,
# linear to zero, no clipping.
_base_ = './ade20k_160k.py'

optim_wrapper = dict(
    optimizer=dict(lr=1e-3),
    paramwise_cfg=dict(layer_decay_rate=0.75),
    clip_grad=None)

max_iters = 80000
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=750),
    dict(
        type='PolyLR',
        eta_min=0.0,
        power=1.0,
        begin=750,
        end=max_iters,
        by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=8000)
# 8 GPUs x 4 images
auto_scale_lr = dict(base_batch_size=32)
