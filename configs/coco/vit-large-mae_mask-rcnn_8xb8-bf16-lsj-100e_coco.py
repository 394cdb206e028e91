"""Mask R-CNN with the plain ViT-L (ViTDet-L): the baseline on COCO.

Recipe    that of HPViT, from which it inherits: ViTDet (arXiv 2203.16527)
          without its relative positions. 4 of the 24 blocks are global, the
          others attend in windows; the levels come from its simple feature
          pyramid.
Command   bash tools/dist_train.sh \
              configs/coco/vit-large-mae_mask-rcnn_8xb8-bf16-lsj-100e_coco.py 8
Cost      (2,841 + 644 + 6,964) GFLOPs (backbone, heads, backward pass) x
          117,266 images x 100 epochs = 123 EFLOPs, 272 GPU hours at 125
          TFLOP/s in bf16; 44.3 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-large-conv-mae_mask-rcnn_8xb8-bf16-lsj-100e_coco.py'

model = dict(
    backbone=dict(
        patch_stride=16,
        stage_depths=(24, ),
        with_cp=False,
        attention=((('window', ) * 5 + ('global', )) * 4, )),
    neck=dict(
        _delete_=True,
        type='hpvit_mm.SimpleFeaturePyramid',
        in_channels=1024,
        num_outs=5))
