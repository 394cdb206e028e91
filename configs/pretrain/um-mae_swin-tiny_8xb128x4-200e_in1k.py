"""UM-MAE pre-training of Swin-T (windows of 8) on ImageNet-1K for 200 epochs.

Recipe    the official one (implus/UM-MAE, PRETRAIN.md): that of MAE at 256 pixels,
          with 10 epochs of warm-up and a decoder of 2 blocks; relative positions
          are Swin's tables, not an MLP
Command   bash tools/dist_train.sh \
              configs/pretrain/um-mae_swin-tiny_8xb128x4-200e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (3.0 + 3.9 + 13.7) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 200 epochs = 5.3 EFLOPs, 11.7 GPU hours at 125
          TFLOP/s in bf16 (tools/model_zoo.py; not measured)
Result    not yet trained; published after fine-tuning: 82.04 % top-1
          (implus/UM-MAE)
"""
_base_ = [
    '../_base_/models/mae_vit.py',
    '../_base_/datasets/imagenet_mae-224.py',
    '../_base_/schedules/imagenet_mae-400e.py',
    '../_base_/default_runtime/pretrain.py',
]

model = dict(
    type='hpvit_mm.UniformMAE',
    backbone=dict(
        _delete_=True,
        type='hpvit_mm.UniformSwin',
        arch='tiny',
        img_size=256,
        window_size=8,
        stage_cfgs=[dict(), dict(), dict(),
                    dict(window_size=4)],
        drop_path_rate=0.),
    neck=dict(in_channels=4 * 768, img_size=256, num_layers=2))

train_pipeline = _base_.train_pipeline
train_pipeline[1].scale = 256
train_dataloader = dict(
    batch_size=128, dataset=dict(pipeline=train_pipeline))

max_epochs = 200
optim_wrapper = dict(accumulative_counts=4)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = 10
param_scheduler[1].update(begin=10, end=max_epochs)
train_cfg = dict(max_epochs=max_epochs)
