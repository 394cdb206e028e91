"""Mask2Former with HPViT-S from DINOv2 on Cityscapes.

Recipe    mmsegmentation's for Mask2Former, with layer decay instead of a tenth
          of the rate for the backbone (see the schedule) and the jitter of the
          UperNet configs. The kernel of 14 pixels is resized to 16, as
          ViT-Adapter and EoMT do: strides of 4 to 32 need it.
Command   bash tools/dist_train.sh \
              configs/cityscapes/hpvit-small-avg-dinov2_mask2former_8xb2-90k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      (430 + 0 + 840) GFLOPs (backbone, neck, backward pass; not counted:
          decode_head) x 16 images x 90,000 iterations = more than 1.8 EFLOPs,
          4.1 GPU hours at 125 TFLOP/s in bf16; 3.8 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov2-small.py',
    '../_base_/models/mask2former_hpvit_mmseg.py',
    '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/schedules/cityscapes_mask2former-90k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 1024), **_base_.normalization),
    decode_head=dict(
        in_channels=[384, 384, 384, 384],
        num_classes=19,
        loss_cls=dict(class_weight=[1.0] * 19 + [0.1])),
    backbone=dict(window_size=16, **_base_.backbone))
