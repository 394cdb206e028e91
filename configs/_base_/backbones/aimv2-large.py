# AIMv2 ViT-L/14 (arXiv 2411.14402).
# Licence of the weights: Apple ASCL.
# Its kernel of 14 pixels is resized to 16 where the stride asks for it.
# In an experiment: model = dict(backbone=_base_.backbone,
# data_preprocessor=_base_.normalization)
backbone = dict(
    type='hpvit_mm.HPViT',
    arch='aimv2-large',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='hf://timm/aimv2_large_patch14_224.apple_pt'))
normalization = dict(
    mean=[122.7709, 116.7460, 104.0937],
    std=[68.5005, 66.6322, 70.3232])
