"""Mask R-CNN with HPViT-B and windows at 1/4 and 1/8 on COCO.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-conv-window-mae_mask-rcnn_8xb8-lsj-100e_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (3,126 + 611 + 9,047) GFLOPs (backbone, heads, backward pass) x
          117,266 images x 100 epochs = 150 EFLOPs, 333 GPU hours at 125
          TFLOP/s in bf16; 30.6 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_mask-rcnn_8xb8-lsj-100e_coco.py'

model = dict(
    backbone=dict(
        attention=('window', 'window', ('window', 'window', 'global') * 2,
                   'global')))
