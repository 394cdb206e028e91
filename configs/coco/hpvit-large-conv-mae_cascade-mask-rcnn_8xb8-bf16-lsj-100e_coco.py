"""Cascade Mask R-CNN with HPViT-L (conv pooling) on COCO.

Recipe    ViTDet-L's, as for Mask R-CNN with HPViT-L.
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-large-conv-mae_cascade-mask-rcnn_8xb8-bf16-lsj-100e_coco.py 8
Cost      (6,765 + 1,157 + 18,626) GFLOPs (backbone, heads, backward pass) x
          117,266 images x 100 epochs = 311 EFLOPs, 692 GPU hours at 125
          TFLOP/s in bf16; 65.7 GiB a GPU (tools/model_zoo.py; not measured)
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
        arch='large',
        drop_path_rate=0.4,
        attention=('dilated', 'dilated', (('window', ) * 5 + ('global', )) * 3,
                   'global'),
        window_size=16,
        with_cp=(True, False, False, False),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_large.pth')),
    neck=dict(in_channels=[1024, 1024, 1024, 1024]))

optim_wrapper = dict(
    type='hpvit_mm.BFloat16OptimWrapper',
    paramwise_cfg=dict(layer_decay_rate=0.8))
