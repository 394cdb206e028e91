"""Mask R-CNN with Hiera of 6.5 M parameters on COCO at 640 pixels.

Recipe    MAE-Lite's for ViTDet-T, see the schedule's file; it has none for
          Hiera. Train configs/pretrain/mae_hiera-tiny-6m_8xb512-400e_in1k.py
          first.
Command   bash tools/dist_train.sh \
              configs/coco/hiera-tiny-6m-mae_mask-rcnn_8xb8-lsj-100e_coco-640px.py 8 \
              --amp --amp-dtype bfloat16
Cost      (30.6 + 390 + 840) GFLOPs (backbone, heads, backward pass) x 117,266
          images x 100 epochs = 14.8 EFLOPs, 32.8 GPU hours at 125 TFLOP/s in
          bf16; 9.0 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/mask-rcnn_hpvit_fpn.py',
    '../_base_/datasets/coco_lsj-640.py',
    '../_base_/schedules/coco_mae-lite-100e.py',
    '../_base_/default_runtime/mmdet.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='hpvit_mm.Hiera',
        arch='tiny-6m',
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/mae_hiera_tiny_400e.pth')),
    neck=dict(in_channels=[46, 92, 184, 368]))
