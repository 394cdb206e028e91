# UperNet with narrow heads on small images.
_base_ = [
    '../../../configs/_base_/models/upernet_hpvit.py',
    '../../../configs/_base_/datasets/ade20k_512x512.py',
    '../../../configs/_base_/default_runtime/mmseg.py',
    './schedule.py',
]

model = dict(
    backbone=dict(drop_path_rate=0.),
    decode_head=dict(channels=64, norm_cfg=dict(type='BN')),
    auxiliary_head=None)
