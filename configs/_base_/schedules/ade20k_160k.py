# The recipe of MAE's ViT-B with UperNet on ADE20K (mmsegmentation,
# configs/mae): AdamW 1e-4, weight decay 0.05, layer decay 0.65, batches of
# 16, 1500 iterations of warm-up, then linear to zero. Clipping is ours.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05,
        fused=True),
    constructor='hpvit_mm.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.65),
    clip_grad=dict(max_norm=1.0, norm_type=2))

max_iters = 160000
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

train_cfg = dict(
    type='hpvit_mm.ResumableIterLoop',
    max_iters=max_iters,
    val_interval=16000)
val_cfg = dict(type='hpvit_mm.GuardedValLoop')
test_cfg = dict(type='hpvit_mm.GuardedTestLoop')
# 8 GPUs x 2 images
auto_scale_lr = dict(enable=False, base_batch_size=16)
