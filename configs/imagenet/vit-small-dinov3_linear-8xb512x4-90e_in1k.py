"""Linear probing of DINOv3's plain ViT-S on ImageNet-1K: the baseline.

Recipe    that of MAE's weights, from which it inherits: the average of the
          patches. DINOv3 itself adds the cls token and searches the rate.
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-small-dinov3_linear-8xb512x4-90e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (9.2 + 0.00077 + 0.00077) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 90 epochs = 1.1 EFLOPs, 2.3 GPU hours at 125
          TFLOP/s in bf16; 1.4 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-small.py',
    './hpvit-base-avg-mae_linear-8xb512x4-90e_in1k.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    neck=dict(input_features=384),
    head=dict(in_channels=384),
    backbone=dict(
        patch_stride=16,
        stage_depths=(12, ),
        frozen_stages=1,
        **_base_.backbone))
