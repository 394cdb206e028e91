"""Mask2Former on a frozen HPViT-B from DINOv3 on ADE20K.

Recipe    mmsegmentation's for Mask2Former. Nothing of the backbone is trained,
          its norms included, so pooling is the average; DINOv3 itself freezes
          it under an adapter.
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-base-avg-dinov3-frozen_mask2former_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (759 + 0 + 0) GFLOPs (backbone, neck, backward pass; not counted:
          decode_head) x 16 images x 160,000 iterations = more than 1.9 EFLOPs,
          4.3 GPU hours at 125 TFLOP/s in bf16; 1.4 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-base.py',
    '../_base_/models/mask2former_hpvit_mmseg.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/ade20k_mask2former-160k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        pooling='avg',
        drop_path_rate=0.,
        window_size=16,
        frozen_stages=4,
        **_base_.backbone))
