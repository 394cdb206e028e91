# A linear head on the average of the last map, without strong augmentation.
_base_ = [
    '../../../configs/_base_/models/hpvit_classifier.py',
    '../../../configs/_base_/datasets/imagenet_224.py',
    '../../../configs/_base_/default_runtime/mmpretrain.py',
    './schedule.py',
]

model = dict(backbone=dict(drop_path_rate=0.), train_cfg=None)
