"""Mask R-CNN with HPViT-L and average pooling on COCO.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-large-avg-mae_mask-rcnn_8xb8-bf16-lsj-100e_coco.py 8
Cost      see tools/model_zoo.py
Result    not yet trained
"""
_base_ = './hpvit-large-conv-mae_mask-rcnn_8xb8-bf16-lsj-100e_coco.py'

model = dict(backbone=dict(pooling='avg'))
