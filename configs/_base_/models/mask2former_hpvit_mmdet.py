# Mask2Former for instances on the four stages of HPViT-B (mmdetection,
# configs/mask2former, without its things and stuff of panoptic COCO).
_base_ = './mask2former_head.py'

model = dict(
    type='Mask2Former',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size_divisor=32,
        # copies from pinned memory need not be waited for
        non_blocking=True),
    backbone=dict(
        type='hpvit_mm.HPViT',
        arch='base',
        pooling='avg',
        drop_path_rate=0.1),
    panoptic_head=dict(
        num_things_classes=80,
        num_stuff_classes=0,
        loss_cls=dict(
            class_weight=[1.0] * 80 + [0.1], **_base_.mask2former_loss_cls),
        **_base_.mask2former_head),
    panoptic_fusion_head=dict(
        type='MaskFormerFusionHead',
        num_things_classes=80,
        num_stuff_classes=0,
        loss_panoptic=None,
        init_cfg=None),
    train_cfg=_base_.mask2former_train_cfg,
    test_cfg=dict(
        panoptic_on=False,
        semantic_on=False,
        instance_on=True,
        max_per_image=100,
        iou_thr=0.8,
        filter_low_score=True))
