"""Mask R-CNN with HPViT-B and average pooling on COCO.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-avg-mae_mask-rcnn_8xb8-lsj-100e_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (3,025 + 611 + 8,844) GFLOPs (backbone, heads, backward pass) x
          117,266 images x 100 epochs = 146 EFLOPs, 325 GPU hours at 125
          TFLOP/s in bf16; 29.4 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_mask-rcnn_8xb8-lsj-100e_coco.py'

model = dict(backbone=dict(pooling='avg'))
