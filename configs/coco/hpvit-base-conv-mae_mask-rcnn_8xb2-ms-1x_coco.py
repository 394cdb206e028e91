"""Mask R-CNN with HPViT-B (conv pooling) on COCO, 12 epochs of multi-scale
training.

Recipe    that of Swin in mmdetection (the schedule's file) with ViTDet-B's
          layer decay. Attention as at 1024 pixels.
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-conv-mae_mask-rcnn_8xb2-ms-1x_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,737 + 449 + 5,260) GFLOPs (backbone, heads, backward pass) x
          117,266 images x 12 epochs = 10.5 EFLOPs, 23.3 GPU hours at 125
          TFLOP/s in bf16; 9.8 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/mask-rcnn_hpvit_fpn.py',
    '../_base_/datasets/coco_ms-800.py',
    '../_base_/schedules/coco_1x.py',
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
