# The schedule of all fine-tuning: AdamW, layer decay, a warm-up and a linear
# decay. tune.py sets the number of iterations.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=3e-4, betas=(0.9, 0.999), weight_decay=0.05),
    constructor='hpvit_mm.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75),
    clip_grad=dict(max_norm=1.0, norm_type=2))

max_iters = 150
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=0.1,
        by_epoch=False,
        begin=0,
        end=max_iters // 10),
    dict(
        type='PolyLR',
        eta_min=0.0,
        power=1.0,
        begin=max_iters // 10,
        end=max_iters,
        by_epoch=False),
]
train_cfg = dict(type='hpvit_mm.ResumableIterLoop', max_iters=max_iters,
                 val_interval=max_iters + 1)
val_cfg = dict(type='hpvit_mm.GuardedValLoop')
test_cfg = dict(type='hpvit_mm.GuardedTestLoop')
