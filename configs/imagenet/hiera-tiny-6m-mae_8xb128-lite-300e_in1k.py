"""Hiera of 6.5 M parameters from its MAE pre-training, fine-tuned for 300 epochs.

Recipe    MAE-Lite's improved fine-tuning, see the schedule's file. Train
          configs/pretrain/mae_hiera-tiny-6m_8xb512-400e_in1k.py first.
Command   bash tools/dist_train.sh \
              configs/imagenet/hiera-tiny-6m-mae_8xb128-lite-300e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (2.4 + 0.00074 + 4.8) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 300 epochs = 2.8 EFLOPs, 6.1 GPU hours at 125
          TFLOP/s in bf16; 3.4 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; published: 78.5 % top-1 (wangsr126/MAE-Lite)
"""
_base_ = [
    '../_base_/models/mae-lite_classifier.py',
    '../_base_/datasets/imagenet_mae-lite-224.py',
    '../_base_/schedules/imagenet_mae-lite-300e.py',
    '../_base_/default_runtime/mmpretrain.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='hpvit_mm.Hiera',
        arch='tiny-6m',
        out_type='avg_featmap',
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/mae_hiera_tiny_400e.pth')),
    head=dict(in_channels=368))
