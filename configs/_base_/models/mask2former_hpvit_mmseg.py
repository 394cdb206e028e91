# Mask2Former on the four stages of HPViT-B for semantic segmentation of
# ADE20K's 150 classes (mmsegmentation, configs/mask2former). The head is
# mmdetection's.
_base_ = './mask2former_head.py'

custom_imports = dict(imports=['mmdet.models'], allow_failed_imports=False)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size=(512, 512),
        pad_val=0,
        seg_pad_val=255),
    backbone=dict(
        type='hpvit_mm.HPViT',
        arch='base',
        pooling='avg',
        drop_path_rate=0.1),
    decode_head=dict(
        num_classes=150,
        align_corners=False,
        loss_cls=dict(
            class_weight=[1.0] * 150 + [0.1], **_base_.mask2former_loss_cls),
        train_cfg=_base_.mask2former_train_cfg,
        **_base_.mask2former_head),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
