# Mask2Former: 50 epochs (mmdetection, configs/mask2former), AdamW 1e-4, weight
# decay 0.05, batches of 16, steps at 88.9 % and 96.3 %, gradients clipped to
# 0.01, no weight decay of the queries. There the backbone has a tenth of the
# rate; here layer decay 0.8, EoMT's (tue-mps/eomt) for DINOv2 and DINOv3.
# 25 epochs of 2 repetitions, so that steps come after whole epochs: 22 and 24.
_base_ = './coco_100e.py'

no_decay = dict(lr_mult=1.0, decay_mult=0.0)
optim_wrapper = dict(
    optimizer=dict(weight_decay=0.05),
    paramwise_cfg=dict(
        layer_decay_rate=0.8,
        custom_keys=dict(
            query_embed=no_decay, query_feat=no_decay, level_embed=no_decay)),
    clip_grad=dict(max_norm=0.01))
param_scheduler = _base_.param_scheduler[1:]
# 8 GPUs x 2 images
auto_scale_lr = dict(base_batch_size=16)
