"""Linear probing of DINOv3's plain ViT-L on ImageNet-1K: the baseline.

Recipe    that of MAE's weights, from which it inherits: the average of the
          patches. DINOv3 itself adds the cls token and searches the rate.
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-large-dinov3_linear-8xb512x4-90e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (124 + 0.002 + 0.002) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 90 epochs = 14.3 EFLOPs, 31.8 GPU hours at 125
          TFLOP/s in bf16; 4.2 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-large.py',
    './hpvit-base-avg-mae_linear-8xb512x4-90e_in1k.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    neck=dict(input_features=1024),
    head=dict(in_channels=1024),
    backbone=dict(
        patch_stride=16,
        stage_depths=(24, ),
        frozen_stages=1,
        **_base_.backbone))
