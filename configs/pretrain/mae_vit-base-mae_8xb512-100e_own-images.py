"""Continued MAE pre-training of ViT-B on images of one's own.

data/own/ holds images in any folder structure, without labels. For fewer GPUs
or another checkpoint change the lines below; docs/pretraining.md.

    bash tools/dist_train.sh \
        configs/pretrain/mae_vit-base-mae_8xb512-100e_own-images.py 8 \
        --amp --amp-dtype bfloat16
"""
_base_ = './mae_vit-base_8xb512-400e_in1k.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_base.pth')))
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CustomDataset',
        data_root='data/own',
        with_label=False,
        pipeline=_base_.train_pipeline))
max_epochs = 100
train_cfg = dict(max_epochs=max_epochs)
_base_.param_scheduler[0].end = 5
_base_.param_scheduler[1].update(begin=5, end=max_epochs)
