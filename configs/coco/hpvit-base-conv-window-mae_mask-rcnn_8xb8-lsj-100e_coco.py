"""Mask R-CNN with HPViT-B and windows at 1/4 and 1/8 on COCO.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-conv-window-mae_mask-rcnn_8xb8-lsj-100e_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      6 x (1,563 + 306) + 2 x 979 GFLOPs (backbone, heads; recomputed) x
          117,266 images x 100 epochs = 154 EFLOPs, 343 GPU hours at 125
          TFLOP/s; 20.2 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_mask-rcnn_8xb8-lsj-100e_coco.py'

model = dict(
    backbone=dict(
        attention=('window', 'window', ('window', 'window', 'global') * 2,
                   'global')))
