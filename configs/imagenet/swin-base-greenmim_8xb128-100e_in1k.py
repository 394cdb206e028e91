"""Swin-B from its GreenMIM pre-training, fine-tuned on ImageNet-1K.

Recipe    the official one with batches of 1,024 instead of 768 (see the
          schedule's file) and MAE's start of the head. Train
          configs/pretrain/greenmim_swin-base_8xb256-800e_in1k.py, and copy its
          epoch_800.pth to checkpoints/greenmim_swin_base_800e.pth.
Command   bash tools/dist_train.sh \
              configs/imagenet/swin-base-greenmim_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (30.9 + 0.002 + 61.7) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 11.9 EFLOPs, 26.3 GPU hours at 125
          TFLOP/s in bf16; 19.5 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; published: 83.8 % top-1 (LayneH/GreenMIM)
"""
_base_ = [
    '../_base_/models/swin_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/imagenet_swin-100e.py',
    '../_base_/default_runtime/mmpretrain.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='checkpoints/greenmim_swin_base_800e.pth')))
