"""Mask R-CNN with the plain ViT-B (ViTDet-B): the baseline on COCO.

Recipe    that of HPViT, from which it inherits: ViTDet (arXiv 2203.16527)
          without its relative positions. 4 of the 12 blocks are global, the
          others attend in windows; the levels come from its simple feature
          pyramid.
Command   bash tools/dist_train.sh \
              configs/coco/vit-base-mae_mask-rcnn_8xb8-lsj-100e_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (933 + 618 + 3,095) GFLOPs (backbone, heads, backward pass) x 117,266
          images x 100 epochs = 54.5 EFLOPs, 121 GPU hours at 125 TFLOP/s in
          bf16; 22.5 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_mask-rcnn_8xb8-lsj-100e_coco.py'

model = dict(
    backbone=dict(
        patch_stride=16,
        stage_depths=(12, ),
        with_cp=False,
        attention=(('window', 'window', 'global') * 4, )),
    neck=dict(
        _delete_=True,
        type='hpvit_mm.SimpleFeaturePyramid',
        in_channels=768,
        num_outs=5))
