"""Cascade Mask R-CNN with the plain ViT-B (ViTDet-B): the baseline.

Recipe    ViTDet-B's, see the schedule's file, without its relative positions.
Command   bash tools/dist_train.sh \
              configs/coco/vit-base-mae_cascade-mask-rcnn_8xb8-lsj-100e_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (933 + 1,152 + 4,164) GFLOPs (backbone, heads, backward pass) x
          117,266 images x 100 epochs = 73.3 EFLOPs, 163 GPU hours at 125
          TFLOP/s in bf16; 33.1 GiB a GPU (tools/model_zoo.py; not measured)
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
        window_size=16,
        patch_stride=16,
        stage_depths=(12, ),
        with_cp=False,
        attention=(('window', 'window', 'global') * 4, ),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_base.pth')),
    neck=dict(
        _delete_=True,
        type='hpvit_mm.SimpleFeaturePyramid',
        in_channels=768,
        num_outs=5))
