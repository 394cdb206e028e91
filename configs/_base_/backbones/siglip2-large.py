# SigLIP 2 ViT-L/16 (arXiv 2502.14786).
# Licence of the weights: Apache-2.0.
# In an experiment: model = dict(backbone=_base_.backbone,
# data_preprocessor=_base_.normalization)
backbone = dict(
    type='hpvit_mm.HPViT',
    arch='siglip2-large',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='hf://timm/vit_large_patch16_siglip_256.v2_webli'))
normalization = dict(
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5])
