"""Cascade Mask R-CNN with HPViT-B (conv pooling) on COCO.

Recipe    ViTDet-B's, see the schedule's file. At 1024 pixels attention at 1/16
          mixes windows and global blocks 2 : 1, as ViTDet does; windows of 16
          need no padding.
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-conv-mae_cascade-mask-rcnn_8xb8-lsj-100e_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (3,126 + 1,145 + 10,115) GFLOPs (backbone, heads, backward pass) x
          117,266 images x 100 epochs = 169 EFLOPs, 375 GPU hours at 125
          TFLOP/s in bf16; 41.2 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/cascade-mask-rcnn_hpvit_fpn.py',
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
