# Mask2Former's schedule (mmsegmentation, configs/mask2former): AdamW 1e-4,
# weight decay 0.05, batches of 16, no warm-up, polynomial with power 0.9,
# gradients clipped to 0.01, no weight decay of the queries. There the backbone
# has a tenth of the rate; here layer decay 0.8, EoMT's (tue-mps/eomt) for
# DINOv2 and DINOv3.
no_decay = dict(lr_mult=1.0, decay_mult=0.0)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05,
        fused=True),
    constructor='hpvit_mm.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(
        layer_decay_rate=0.8,
        custom_keys=dict(
            query_embed=no_decay, query_feat=no_decay, level_embed=no_decay)),
    clip_grad=dict(max_norm=0.01, norm_type=2))

max_iters = 160000
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0.0,
        power=0.9,
        begin=0,
        end=max_iters,
        by_epoch=False)
]

train_cfg = dict(
    type='hpvit_mm.ResumableIterLoop',
    max_iters=max_iters,
    val_interval=16000)
val_cfg = dict(type='hpvit_mm.GuardedValLoop')
test_cfg = dict(type='hpvit_mm.GuardedTestLoop')
# 8 GPUs x 2 images
auto_scale_lr = dict(enable=False, base_batch_size=16)
