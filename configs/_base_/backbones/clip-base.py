# OpenAI CLIP ViT-B/16 (arXiv 2103.00020).
# Licence of the weights: see the repository.
# In an experiment: model = dict(backbone=_base_.backbone,
# data_preprocessor=_base_.normalization)
backbone = dict(
    type='hpvit_mm.HPViT',
    arch='clip-base',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='hf://timm/vit_base_patch16_clip_224.openai'))
normalization = dict(
    mean=[122.7709, 116.7460, 104.0937],
    std=[68.5005, 66.6322, 70.3232])
