# MAE's pre-training (github.com/facebookresearch/mae, PRETRAIN.md): AdamW,
# lr = 1.5e-4 * 4096 / 256 = 2.4e-3 for batches of 4096, 40 epochs of warm-up,
# cosine to 0. No decay of norms, biases and positions.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=2.4e-3, betas=(0.9, 0.95), weight_decay=0.05,
        fused=True),
    # one rate for all depths; for its groups of parameters
    constructor='hpvit_mm.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=1.0))

max_epochs = 400
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        by_epoch=True,
        begin=0,
        end=40,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.,
        by_epoch=True,
        begin=40,
        end=max_epochs,
        convert_to_iter_based=True),
]

train_cfg = dict(type='hpvit_mm.ResumableEpochLoop', max_epochs=max_epochs)
# 8 GPUs x 512 images
auto_scale_lr = dict(enable=False, base_batch_size=4096)
