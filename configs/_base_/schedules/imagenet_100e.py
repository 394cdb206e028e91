# MAE's fine-tuning of ViT-B (github.com/facebookresearch/mae, FINETUNE.md):
# AdamW, lr = 5e-4 * 1024 / 256 = 2e-3 for batches of 1024, layer decay 0.65,
# 5 epochs of warm-up, cosine to 1e-6.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=2e-3, betas=(0.9, 0.999), weight_decay=0.05,
        fused=True),
    constructor='hpvit_mm.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.65))

max_epochs = 100
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        by_epoch=True,
        begin=0,
        end=5,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        # 1e-6 of the full rate, and in proportion for each depth
        eta_min_ratio=5e-4,
        by_epoch=True,
        begin=5,
        end=max_epochs,
        convert_to_iter_based=True),
]

train_cfg = dict(
    type='hpvit_mm.ResumableEpochLoop', max_epochs=max_epochs, val_interval=5)
val_cfg = dict(type='hpvit_mm.GuardedValLoop')
test_cfg = dict(type='hpvit_mm.GuardedTestLoop')
# 8 GPUs x 128 images
auto_scale_lr = dict(enable=False, base_batch_size=1024)
