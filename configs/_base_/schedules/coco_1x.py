# The 1x schedule of mmdetection and Swin: AdamW 1e-4, weight decay 0.05,
# batches of 16, 1000 iterations of warm-up, 12 epochs. Layer decay 0.7 is
# ViTDet-B's. Clipping is ours.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05,
        fused=True),
    constructor='hpvit_mm.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.7),
    clip_grad=dict(max_norm=1.0, norm_type=2))

max_epochs = 12
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0,
        end=1000),
    dict(
        type='MultiStepLR',
        by_epoch=True,
        begin=0,
        end=max_epochs,
        milestones=[8, 11],
        gamma=0.1),
]

train_cfg = dict(
    type='hpvit_mm.ResumableEpochLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='hpvit_mm.GuardedValLoop')
test_cfg = dict(type='hpvit_mm.GuardedTestLoop')
# 8 GPUs x 2 images
auto_scale_lr = dict(enable=False, base_batch_size=16)
