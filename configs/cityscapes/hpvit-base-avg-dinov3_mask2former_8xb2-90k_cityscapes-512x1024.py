"""Mask2Former with HPViT-B from DINOv3 on Cityscapes.

Recipe    mmsegmentation's for Mask2Former, with layer decay instead of a tenth
          of the rate for the backbone (see the schedule) and the jitter of the
          UperNet configs.
Command   bash tools/dist_train.sh \
              configs/cityscapes/hpvit-base-avg-dinov3_mask2former_8xb2-90k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,556 + 0 + 3,074) GFLOPs (backbone, neck, backward pass; not
          counted: decode_head) x 16 images x 90,000 iterations = more than 6.7
          EFLOPs, 14.8 GPU hours at 125 TFLOP/s in bf16; 8.8 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-base.py',
    '../_base_/models/mask2former_hpvit_mmseg.py',
    '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/schedules/cityscapes_mask2former-90k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 1024), **_base_.normalization),
    decode_head=dict(
        num_classes=19,
        loss_cls=dict(class_weight=[1.0] * 19 + [0.1])),
    backbone=dict(window_size=16, **_base_.backbone))
