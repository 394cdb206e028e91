"""Mask2Former with HPViT-L from DINOv2 on ADE20K.

Recipe    mmsegmentation's for Mask2Former, with layer decay instead of a tenth
          of the rate for the backbone (see the schedule) and the jitter of the
          UperNet configs. The kernel of 14 pixels is resized to 16, as
          ViT-Adapter and EoMT do: strides of 4 to 32 need it.
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-large-avg-dinov2_mask2former_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,660 + 0 + 3,293) GFLOPs (backbone, neck, backward pass; not
          counted: decode_head) x 16 images x 160,000 iterations = more than
          12.7 EFLOPs, 28.2 GPU hours at 125 TFLOP/s in bf16; 11.6 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov2-large.py',
    '../_base_/models/mask2former_hpvit_mmseg.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/ade20k_mask2former-160k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    decode_head=dict(in_channels=[1024, 1024, 1024, 1024]),
    backbone=dict(window_size=16, drop_path_rate=0.2, **_base_.backbone))
