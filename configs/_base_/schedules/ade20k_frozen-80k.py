# UperNet on a frozen DINOv3 (whu-pzhang/dinov3_geo, configs/seg): AdamW 6e-5,
# weight decay 0.05, 80,000 iterations of batches of 8. Warm-up and decay of
# the rate are those of ade20k_160k.py.
_base_ = './ade20k_160k.py'

optim_wrapper = dict(
    optimizer=dict(lr=6e-5), paramwise_cfg=dict(layer_decay_rate=1.0))
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = 80000
train_cfg = dict(max_iters=80000, val_interval=8000)
# 8 GPUs x 1 image
auto_scale_lr = dict(base_batch_size=8)
