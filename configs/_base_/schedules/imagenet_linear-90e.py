# MAE's linear probing (github.com/facebookresearch/mae, FINETUNE.md): LARS,
# lr = 0.1 * 16384 / 256 = 6.4 for batches of 16,384, no weight decay, 10
# epochs of warm-up, cosine to 0.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='LARS', lr=6.4, weight_decay=0., momentum=0.9),
    accumulative_counts=4)

max_epochs = 90
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        by_epoch=True,
        begin=0,
        end=10,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.,
        by_epoch=True,
        begin=10,
        end=max_epochs,
        convert_to_iter_based=True),
]

train_cfg = dict(
    type='hpvit_mm.ResumableEpochLoop', max_epochs=max_epochs, val_interval=5)
val_cfg = dict(type='hpvit_mm.GuardedValLoop')
test_cfg = dict(type='hpvit_mm.GuardedTestLoop')
# 8 GPUs x 512 images x 4 accumulated batches
auto_scale_lr = dict(enable=False, base_batch_size=16384)
