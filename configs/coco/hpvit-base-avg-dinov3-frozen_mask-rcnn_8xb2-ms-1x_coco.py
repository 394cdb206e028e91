"""Mask R-CNN on a frozen HPViT-B from DINOv3 on COCO, 12 epochs.

Recipe    mmdetection's 1x schedule. Nothing of the backbone is trained, its
          norms included, so pooling is the average.
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-avg-dinov3-frozen_mask-rcnn_8xb2-ms-1x_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,757 + 449 + 879) GFLOPs (backbone, heads, backward pass) x 117,266
          images x 12 epochs = 4.3 EFLOPs, 9.6 GPU hours at 125 TFLOP/s in
          bf16; 3.7 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-base.py',
    '../_base_/models/mask-rcnn_hpvit_fpn.py',
    '../_base_/datasets/coco_ms-800.py',
    '../_base_/schedules/coco_1x.py',
    '../_base_/default_runtime/mmdet.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        pooling='avg',
        drop_path_rate=0.,
        window_size=16,
        frozen_stages=4,
        **_base_.backbone))
