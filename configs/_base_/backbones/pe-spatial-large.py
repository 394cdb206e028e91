# Perception Encoder spatial, ViT-L/14 (arXiv 2504.13181).
# Licence of the weights: Apache-2.0.
# Its kernel of 14 pixels is resized to 16 where the stride asks for it.
# In an experiment: model = dict(backbone=_base_.backbone,
# data_preprocessor=_base_.normalization)
backbone = dict(
    type='hpvit_mm.HPViT',
    arch='pe-spatial-large',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='hf://timm/vit_pe_spatial_large_patch14_448.fb'))
normalization = dict(
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5])
