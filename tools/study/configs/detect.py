# Mask R-CNN with narrow heads on small images.
_base_ = [
    '../../../configs/_base_/models/mask-rcnn_hpvit_fpn.py',
    '../../../configs/_base_/datasets/coco_lsj-1024.py',
    '../../../configs/_base_/default_runtime/mmdet.py',
    './schedule.py',
]

model = dict(
    backbone=dict(drop_path_rate=0.),
    neck=dict(out_channels=64),
    rpn_head=dict(in_channels=64, feat_channels=64),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        bbox_head=dict(
            in_channels=64, conv_out_channels=64, fc_out_channels=256),
        mask_roi_extractor=dict(out_channels=64),
        mask_head=dict(in_channels=64, conv_out_channels=64)),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=250),
        rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=250)))
