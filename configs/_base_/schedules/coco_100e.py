# ViTDet-B's schedule (detectron2, projects/ViTDet): AdamW 1e-4, weight decay
# 0.1, layer decay 0.7, batches of 64, 250 iterations of warm-up. Clipping is
# ours.
# 100 epochs = 25 epochs of 4 repetitions = 184,375 iterations of 64 of the
# 118,000 images; steps at 163,889 (epoch 22.2) and 177,546 (24.1) there.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.1,
        fused=True),
    constructor='hpvit_mm.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.7),
    clip_grad=dict(max_norm=1.0, norm_type=2))

max_epochs = 25
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=250),
    dict(
        type='MultiStepLR',
        by_epoch=True,
        begin=0,
        end=max_epochs,
        milestones=[22, 24],
        gamma=0.1),
]

train_cfg = dict(
    type='hpvit_mm.ResumableEpochLoop', max_epochs=max_epochs, val_interval=5)
val_cfg = dict(type='hpvit_mm.GuardedValLoop')
test_cfg = dict(type='hpvit_mm.GuardedTestLoop')
# 8 GPUs x 8 images
auto_scale_lr = dict(enable=False, base_batch_size=64)
