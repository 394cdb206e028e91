# MAE-Lite's schedule for ViTDet-T (wangsr126/MAE-Lite, DETECTION.md): that of
# ViTDet-B with weight decay 0.05 and without layer decay.
_base_ = './coco_100e.py'

optim_wrapper = dict(
    optimizer=dict(weight_decay=0.05),
    paramwise_cfg=dict(layer_decay_rate=1.0))
