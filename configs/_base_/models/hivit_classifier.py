# HiViT-B with mmpretrain's linear head on the average of the last stage. With
# relative positions, as in its official supervised training and fine-tuning.
_base_ = './hpvit_classifier.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='hpvit_mm.HiViT',
        arch='base',
        relative_position=True,
        drop_path_rate=0.2,
        out_type='avg_featmap'),
    head=dict(in_channels=512))
