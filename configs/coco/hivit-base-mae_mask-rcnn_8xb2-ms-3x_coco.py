"""Mask R-CNN with HiViT-B from its MAE pre-training on COCO.

Recipe    that of HPViT with the official layer decay of 0.9 and drop path of 0.2
          (zhangxiaosong18/hivit, detection). Windows of 14, blocks 4, 9, 14 and 19
          are global. The official heads have SyncBN and a GIoU loss, ours ViTDet's
          LN.
Command   bash tools/dist_train.sh \
              configs/coco/hivit-base-mae_mask-rcnn_8xb2-ms-3x_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (404 + 435 + 1,677) GFLOPs (backbone, heads, backward pass) x 117,266
          images x 36 epochs = 10.6 EFLOPs, 23.6 GPU hours at 125 TFLOP/s in
          bf16; 9.2 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; published: 53.3 box AP (zhangxiaosong18/hivit)
"""
_base_ = [
    '../_base_/models/mask-rcnn_hpvit_fpn.py',
    '../_base_/datasets/coco_ms-800.py',
    '../_base_/schedules/coco_3x.py',
    '../_base_/default_runtime/mmdet.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='hpvit_mm.HiViT',
        arch='base',
        attention=(('window', ) * 4 + ('global', )) * 4,
        drop_path_rate=0.2,
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/mae_hivit_base_1600ep.pth')),
    neck=dict(in_channels=[128, 256, 512, 512]))

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.9))
