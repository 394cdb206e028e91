# OpenCLIP ViT-B/16, LAION-2B (arXiv 2212.07143).
# Licence of the weights: see the repository.
# In an experiment: model = dict(backbone=_base_.backbone,
# data_preprocessor=_base_.normalization)
backbone = dict(
    type='hpvit_mm.HPViT',
    arch='openclip-base',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='hf://timm/vit_base_patch16_clip_224.laion2b'))
normalization = dict(
    mean=[122.7709, 116.7460, 104.0937],
    std=[68.5005, 66.6322, 70.3232])
