"""Mask R-CNN with HPViT-B of stage depths (3, 3, 3, 3) on COCO.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-conv-3333-mae_mask-rcnn_8xb8-lsj-100e_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      see tools/model_zoo.py
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_mask-rcnn_8xb8-lsj-100e_coco.py'

model = dict(
    backbone=dict(
        stage_depths=(3, 3, 3, 3),
        attention=('dilated', 'dilated', ('window', 'window', 'global'),
                   'global')))
