"""Mask R-CNN with HPViT-B of stage depths (3, 3, 3, 3) on COCO.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-conv-3333-mae_mask-rcnn_8xb8-lsj-100e_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (4,136 + 611 + 12,046) GFLOPs (backbone, heads, backward pass) x
          117,266 images x 100 epochs = 197 EFLOPs, 438 GPU hours at 125
          TFLOP/s in bf16; 33.1 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_mask-rcnn_8xb8-lsj-100e_coco.py'

model = dict(
    backbone=dict(
        stage_depths=(3, 3, 3, 3),
        attention=('dilated', 'dilated', ('window', 'window', 'global'),
                   'global')))
