# EVA-02 ViT-B/14 (arXiv 2303.11331).
# Licence of the weights: MIT.
# Its kernel of 14 pixels is resized to 16 where the stride asks for it.
# In an experiment: model = dict(backbone=_base_.backbone,
# data_preprocessor=_base_.normalization)
backbone = dict(
    type='hpvit_mm.HPViT',
    arch='eva02-base',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='hf://timm/eva02_base_patch14_224.mim_in22k'))
normalization = dict(
    mean=[122.7709, 116.7460, 104.0937],
    std=[68.5005, 66.6322, 70.3232])
