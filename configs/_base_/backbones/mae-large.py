# MAE ViT-L/16 (arXiv 2111.06377).
# Licence of the weights: CC BY-NC 4.0.
# In an experiment: model = dict(backbone=_base_.backbone,
# data_preprocessor=_base_.normalization)
backbone = dict(
    type='hpvit_mm.HPViT',
    arch='mae-large',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
        'mae_pretrain_vit_large.pth'))
normalization = dict(
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375])
