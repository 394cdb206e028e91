# OpenCLIP ViT-L/14, LAION-2B (arXiv 2212.07143).
# Licence of the weights: see the repository.
# Its kernel of 14 pixels is resized to 16 where the stride asks for it.
# In an experiment: model = dict(backbone=_base_.backbone,
# data_preprocessor=_base_.normalization)
backbone = dict(
    type='hpvit_mm.HPViT',
    arch='openclip-large',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='hf://timm/vit_large_patch14_clip_224.laion2b'))
normalization = dict(
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5])
