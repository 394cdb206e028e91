# DINO's 12 epochs (mmdetection, configs/dino): AdamW 1e-4, weight decay 1e-4,
# batches of 16, a step after 11 epochs, gradients clipped to 0.1. There the
# backbone has a tenth of the rate; here layer decay 0.7, ViTDet-B's.
_base_ = './coco_1x.py'

optim_wrapper = dict(
    optimizer=dict(weight_decay=1e-4), clip_grad=dict(max_norm=0.1))
param_scheduler = [
    dict(
        type='MultiStepLR',
        by_epoch=True,
        begin=0,
        end=12,
        milestones=[11],
        gamma=0.1)
]
