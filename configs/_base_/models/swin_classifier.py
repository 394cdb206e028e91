# Swin-B with windows of 7 and mmpretrain's linear head on its averaged last map,
# with the drop path of GreenMIM's fine-tuning (github.com/LayneH/GreenMIM).
_base_ = './hpvit_classifier.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.SwinTransformer',
        arch='base',
        img_size=224,
        window_size=7,
        drop_path_rate=0.1),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(in_channels=1024))
