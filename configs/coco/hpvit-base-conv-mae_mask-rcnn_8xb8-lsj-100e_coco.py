"""Mask R-CNN with HPViT-B (conv pooling) from MAE's ViT-B on COCO.

Recipe    ViTDet-B's, see the schedule's file. At 1024 pixels attention at 1/16
          mixes windows and global blocks 2 : 1, as ViTDet does; windows of 16
          need no padding. Stage 0 recomputes its activations: without, they
          take 2.5 times the memory.
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-conv-mae_mask-rcnn_8xb8-lsj-100e_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      arithmetic, not measured: backbone 1563 GMACs, neck and heads about
          350, a forward pass of an image of 1024 x 1024; x 2 FLOPs x 3 (with
          the backward pass) x 118,000 images x 100 epochs = 135 EFLOPs, and a
          sixth more for checkpointing, or 350 hours of one GPU at
          125 TFLOP/s (40 % of an A100's bf16 peak). Activations of the
          backbone in bf16: 1.9 GiB an image with checkpointing of stage 0,
          4.9 GiB without.
Result    not yet trained
"""
_base_ = [
    '../_base_/models/mask-rcnn_hpvit_fpn.py',
    '../_base_/datasets/coco_lsj-1024.py',
    '../_base_/schedules/coco_100e.py',
    '../_base_/default_runtime/mmdet.py',
]

model = dict(
    backbone=dict(
        attention=('dilated', 'dilated', ('window', 'window', 'global') * 2,
                   'global'),
        window_size=16,
        with_cp=(True, False, False, False),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_base.pth')))
