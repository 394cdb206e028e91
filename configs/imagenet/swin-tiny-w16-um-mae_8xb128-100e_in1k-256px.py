"""Swin-T from its UM-MAE pre-training, fine-tuned on ImageNet-1K at 256 pixels.

Recipe    the official one (implus/UM-MAE, FINETUNE.md): MAE's with layer decay
          0.85 and windows of 16, which cover as much as those of 8 in
          pre-training. Train
          configs/pretrain/um-mae_swin-tiny_8xb128x4-200e_in1k.py, and copy its
          epoch_200.pth to checkpoints/um-mae_swin_tiny_200e.pth.
Command   bash tools/dist_train.sh \
              configs/imagenet/swin-tiny-w16-um-mae_8xb128-100e_in1k-256px.py 8 \
              --amp --amp-dtype bfloat16
Cost      (13.2 + 0.0015 + 26.4) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 5.1 EFLOPs, 11.3 GPU hours at 125
          TFLOP/s in bf16; 19.8 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; published: 82.04 % top-1 (implus/UM-MAE)
"""
_base_ = [
    '../_base_/models/swin_classifier.py',
    '../_base_/datasets/imagenet_384.py',
    '../_base_/schedules/imagenet_100e.py',
    '../_base_/default_runtime/mmpretrain.py',
]

model = dict(
    backbone=dict(
        arch='tiny',
        img_size=256,
        window_size=16,
        stage_cfgs=[dict(), dict(), dict(),
                    dict(window_size=8)],
        init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='checkpoints/um-mae_swin_tiny_200e.pth')),
    head=dict(in_channels=768))

train_pipeline = _base_.train_pipeline
train_pipeline[1].scale = 256
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = 256
test_pipeline[2].crop_size = 256
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(paramwise_cfg=dict(
    layer_decay_rate=0.85,
    custom_keys=dict(relative_position_bias_table=dict(decay_mult=0.))))
