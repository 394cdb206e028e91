# MAE in miniature: the models of configs/pretrain, the schedule of the study
# with MAE's betas and one rate for all depths. pretrain.py sets the rest.
_base_ = [
    '../../../configs/_base_/models/mae_vit.py',
    '../../../configs/_base_/datasets/imagenet_mae-224.py',
    '../../../configs/_base_/default_runtime/pretrain.py',
    './schedule.py',
]

optim_wrapper = dict(
    optimizer=dict(lr=1e-3, betas=(0.9, 0.95)),
    paramwise_cfg=dict(layer_decay_rate=1.0))
val_cfg = None
test_cfg = None
