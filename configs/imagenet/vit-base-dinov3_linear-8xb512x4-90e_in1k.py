"""Linear probing of DINOv3's plain ViT-B on ImageNet-1K: the baseline.

Recipe    that of MAE's weights, from which it inherits: the average of the
          patches. DINOv3 itself adds the cls token and searches the rate.
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-base-dinov3_linear-8xb512x4-90e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (34.9 + 0.0015 + 0.0015) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 90 epochs = 4.0 EFLOPs, 8.9 GPU hours at 125
          TFLOP/s in bf16; 2.7 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-base.py',
    './hpvit-base-avg-mae_linear-8xb512x4-90e_in1k.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        patch_stride=16,
        stage_depths=(12, ),
        frozen_stages=1,
        **_base_.backbone))
