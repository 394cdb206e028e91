# EVA-02 ViT-L/14 (arXiv 2303.11331).
# Licence of the weights: MIT.
# Its kernel of 14 pixels is resized to 16 where the stride asks for it.
# In an experiment: model = dict(backbone=_base_.backbone,
# data_preprocessor=_base_.normalization)
backbone = dict(
    type='hpvit_mm.HPViT',
    arch='eva02-large',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='hf://timm/eva02_large_patch14_224.mim_m38m'))
normalization = dict(
    mean=[122.7709, 116.7460, 104.0937],
    std=[68.5005, 66.6322, 70.3232])
