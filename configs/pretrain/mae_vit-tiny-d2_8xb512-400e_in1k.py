"""MAE of ViT-T with decoupled distillation (D2-MAE) on ImageNet-1K.

Recipe    MAE-Lite's (wangsr126/MAE-Lite, projects/mae_lite/DISTILL.md). For
          fine-tuning set num_layers=13 of arch, stage_depths=(12, 1) and
          out_indices=0.
Command   bash tools/dist_train.sh \
              configs/pretrain/mae_vit-tiny-d2_8xb512-400e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (9.3 + 0.28 + 1.3) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 400 epochs = 5.6 EFLOPs, 12.4 GPU hours at 125
          TFLOP/s in bf16 (tools/model_zoo.py; not measured)
Result    not yet trained; published after fine-tuning: 78.7 % top-1
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
    decouple=True,
    # the decoder reads the eighth block; the last one is not fine-tuned
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=192, num_layers=13, num_heads=12,
            feedforward_channels=768),
        stage_depths=(13, ),
        out_blocks=(7, 12)),
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
