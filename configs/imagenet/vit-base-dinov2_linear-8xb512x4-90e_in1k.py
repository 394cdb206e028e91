"""Linear probing of DINOv2's plain ViT-B on ImageNet-1K: the baseline.

Recipe    that of MAE's weights, from which it inherits: the average of the
          patches. DINOv2 itself adds the cls token and searches the rate.
          Patches stay 14 pixels wide.
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-base-dinov2_linear-8xb512x4-90e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (45.1 + 0.0015 + 0.0015) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 90 epochs = 5.2 EFLOPs, 11.6 GPU hours at 125
          TFLOP/s in bf16; 3.3 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov2-base.py',
    './hpvit-base-avg-mae_linear-8xb512x4-90e_in1k.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        patch_size=14,
        patch_stride=14,
        stage_depths=(12, ),
        frozen_stages=1,
        **_base_.backbone))
