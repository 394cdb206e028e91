"""Mask R-CNN with the plain ViT-T (ViTDet-T) on COCO at 640 pixels.

Recipe    that of HPViT, from which it inherits: MAE-Lite's without its
          relative positions. The levels come from the simple feature pyramid.
Command   bash tools/dist_train.sh \
              configs/coco/vit-tiny-mae_mask-rcnn_8xb8-lsj-100e_coco-640px.py 8 \
              --amp --amp-dtype bfloat16
Cost      (26.3 + 390 + 833) GFLOPs (backbone, heads, backward pass) x 117,266
          images x 100 epochs = 14.6 EFLOPs, 32.6 GPU hours at 125 TFLOP/s in
          bf16; 8.5 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; published: 39.9 box AP (wangsr126/MAE-Lite)
"""
_base_ = './hpvit-tiny-conv-mae_mask-rcnn_8xb8-lsj-100e_coco-640px.py'

model = dict(
    backbone=dict(
        patch_stride=16,
        stage_depths=(12, ),
        attention=(('window', 'window', 'global') * 4, )),
    neck=dict(
        _delete_=True,
        type='hpvit_mm.SimpleFeaturePyramid',
        in_channels=192,
        num_outs=5))
