# GreenMIM's fine-tuning of Swin-B (github.com/LayneH/GreenMIM, ft_configs), which
# is SimMIM's: AdamW, lr = 1.25e-3 * 1024 / 512 = 2.5e-3 for batches of 1024 (there
# 768), layer decay 0.9, 20 epochs of warm-up, gradients clipped at 5. The end of
# the cosine is MAE's.
_base_ = './imagenet_100e.py'

optim_wrapper = dict(
    clip_grad=dict(max_norm=5.0),
    optimizer=dict(lr=2.5e-3),
    paramwise_cfg=dict(
        layer_decay_rate=0.9,
        custom_keys=dict(relative_position_bias_table=dict(decay_mult=0.))))

param_scheduler = _base_.param_scheduler
param_scheduler[0].end = 20
param_scheduler[1].begin = 20
