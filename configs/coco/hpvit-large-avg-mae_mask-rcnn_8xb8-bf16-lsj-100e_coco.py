"""Mask R-CNN with HPViT-L and average pooling on COCO.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-large-avg-mae_mask-rcnn_8xb8-bf16-lsj-100e_coco.py 8
Cost      (6,584 + 623 + 17,197) GFLOPs (backbone, heads, backward pass) x
          117,266 images x 100 epochs = 286 EFLOPs, 636 GPU hours at 125
          TFLOP/s in bf16; 53.5 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-large-conv-mae_mask-rcnn_8xb8-bf16-lsj-100e_coco.py'

model = dict(backbone=dict(pooling='avg'))
