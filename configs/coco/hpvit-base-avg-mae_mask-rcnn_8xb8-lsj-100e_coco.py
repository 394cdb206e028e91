"""Mask R-CNN with HPViT-B and average pooling on COCO.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-avg-mae_mask-rcnn_8xb8-lsj-100e_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      see tools/model_zoo.py
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_mask-rcnn_8xb8-lsj-100e_coco.py'

model = dict(backbone=dict(pooling='avg'))
