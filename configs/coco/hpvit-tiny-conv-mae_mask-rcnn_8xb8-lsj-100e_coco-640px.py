"""Mask R-CNN with HPViT-T from MAE-Lite's ViT-T on COCO at 640 pixels.

Recipe    MAE-Lite's for ViTDet-T, see the schedule's file. At 1/16 windows of
          10 and global blocks are mixed 2 : 1, as in ViTDet. Fetch
          mae_tiny_400e.pth.tar from MAE-Lite's links, or train
          configs/pretrain/mae_vit-tiny_8xb512-400e_in1k.py.
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-tiny-conv-mae_mask-rcnn_8xb8-lsj-100e_coco-640px.py 8 \
              --amp --amp-dtype bfloat16
Cost      (85.5 + 392 + 947) GFLOPs (backbone, heads, backward pass) x 117,266
          images x 100 epochs = 16.7 EFLOPs, 37.1 GPU hours at 125 TFLOP/s in
          bf16; 11.6 GiB a GPU (tools/model_zoo.py; not measured)
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
        arch=dict(
            _delete_=True,
            embed_dims=192,
            num_layers=12,
            num_heads=12,
            feedforward_channels=768),
        attention=('dilated', 'dilated', ('window', 'window', 'global') * 2,
                   'global'),
        window_size=10,
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/mae_tiny_400e.pth.tar')),
    neck=dict(in_channels=[192, 192, 192, 192]))
