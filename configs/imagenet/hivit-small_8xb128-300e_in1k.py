"""HiViT-S on ImageNet-1K from random weights.

Recipe    the official one, see the schedule's file
Command   bash tools/dist_train.sh \
              configs/imagenet/hivit-small_8xb128-300e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (18.1 + 0.00077 + 36.1) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 300 epochs = 20.8 EFLOPs, 46.3 GPU hours at 125
          TFLOP/s in bf16; 15.1 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; published: 83.5 % top-1
          (zhangxiaosong18/hivit)
"""
_base_ = [
    '../_base_/models/hivit_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/imagenet_300e.py',
    '../_base_/default_runtime/mmpretrain.py',
]

model = dict(
    backbone=dict(arch='small', drop_path_rate=0.3),
    head=dict(in_channels=384))
