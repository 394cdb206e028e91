"""Linear probing of DINOv2's plain ViT-S on ImageNet-1K: the baseline.

Recipe    that of MAE's weights, from which it inherits: the average of the
          patches. DINOv2 itself adds the cls token and searches the rate.
          Patches stay 14 pixels wide.
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-small-dinov2_linear-8xb512x4-90e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (11.9 + 0.00077 + 0.00077) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 90 epochs = 1.4 EFLOPs, 3.1 GPU hours at 125
          TFLOP/s in bf16; 1.7 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov2-small.py',
    './hpvit-base-avg-mae_linear-8xb512x4-90e_in1k.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    neck=dict(input_features=384),
    head=dict(in_channels=384),
    backbone=dict(
        patch_size=14,
        patch_stride=14,
        stage_depths=(12, ),
        frozen_stages=1,
        **_base_.backbone))
