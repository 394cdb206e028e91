"""Mask R-CNN with finer patches of MAE's ViT-B, pooled at half depth, on COCO.

Recipe    that of HPViT. Patches of 8 pixels, whose kernel is shrunk by
          'enlarge', six blocks at 1/8 and six at 1/16, with windows and global
          blocks 2 : 1. The levels begin at 1/8, with the same anchors; those
          from 1/32 on are subsampled. With a frozen DINOv2-like ViT-S on
          CamVid such patches were better than those of 16 every 4 pixels, and
          the plain network at 1.5 times the input was better still, for less
          (docs/study.md).
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-p8-avg-mae_mask-rcnn_8xb8-lsj-100e_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (3,561 + 351 + 7,820) GFLOPs (backbone, heads, backward pass) x
          117,266 images x 100 epochs = 138 EFLOPs, 306 GPU hours at 125
          TFLOP/s in bf16; 34.7 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_mask-rcnn_8xb8-lsj-100e_coco.py'

strides = [8, 16, 32, 64, 128]
model = dict(
    backbone=dict(
        pooling='avg',
        img_size=112,  # 14 patches, the grid of the checkpoint
        patch_size=8,
        patch_stride=8,
        stage_depths=(6, 6),
        attention=(('window', 'window', 'global') * 2, ) * 2,
        with_cp=False,
        init_cfg=dict(patch_resize='enlarge')),
    neck=dict(in_channels=[768, 768]),
    rpn_head=dict(anchor_generator=dict(scales=[4], strides=strides)),
    roi_head=dict(
        bbox_roi_extractor=dict(featmap_strides=strides[:4]),
        mask_roi_extractor=dict(featmap_strides=strides[:4])))
