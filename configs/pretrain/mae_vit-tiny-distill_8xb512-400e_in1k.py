"""MAE of ViT-T with distillation from MAE's ViT-B on ImageNet-1K.

Recipe    MAE-Lite's (wangsr126/MAE-Lite, projects/mae_lite/DISTILL.md): the
          attention of the last block
Command   bash tools/dist_train.sh \
              configs/pretrain/mae_vit-tiny-distill_8xb512-400e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (9.2 + 0.28 + 1.3) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 400 epochs = 5.5 EFLOPs, 12.3 GPU hours at 125
          TFLOP/s in bf16 (tools/model_zoo.py; not measured)
Result    not yet trained; published after fine-tuning: 78.4 % top-1
          (MAE-Lite)
"""
_base_ = [
    '../_base_/models/mae_vit.py',
    '../_base_/datasets/imagenet_mae-224.py',
    '../_base_/schedules/imagenet_mae-400e.py',
    '../_base_/default_runtime/pretrain.py',
]

model = dict(
    type='hpvit_mm.DistilledMAE',
    backbone=dict(arch=dict(
        _delete_=True, embed_dims=192, num_layers=12, num_heads=12,
        feedforward_channels=768)),
    neck=dict(in_channels=192, embed_dims=96, num_layers=1, num_heads=3),
    teacher=dict(
        type='hpvit_mm.HPViT',
        arch='base',
        patch_stride=16,
        stage_depths=(12, ),
        with_cls_token=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_base.pth')))
