"""Mask R-CNN with HPViT-L (conv pooling) from MAE's ViT-L on COCO.

Recipe    ViTDet-L's: layer decay 0.8, drop path 0.4 (detectron2,
          projects/ViTDet); the rest as for HPViT-B. Every sixth block at 1/16
          is global, as there. bfloat16 and the recomputed activations of stage
          0 make it fit 80 GB (docs/recipes.md).
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-large-conv-mae_mask-rcnn_8xb8-bf16-lsj-100e_coco.py 8
Cost      (6,765 + 623 + 17,558) GFLOPs (backbone, heads, backward pass) x
          117,266 images x 100 epochs = 293 EFLOPs, 650 GPU hours at 125
          TFLOP/s in bf16; 55.1 GiB a GPU (tools/model_zoo.py; not measured)
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
