# OpenAI CLIP ViT-L/14 (arXiv 2103.00020).
# Licence of the weights: see the repository.
# Its kernel of 14 pixels is resized to 16 where the stride asks for it.
# In an experiment: model = dict(backbone=_base_.backbone,
# data_preprocessor=_base_.normalization)
backbone = dict(
    type='hpvit_mm.HPViT',
    arch='clip-large',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='hf://timm/vit_large_patch14_clip_224.openai'))
normalization = dict(
    mean=[122.7709, 116.7460, 104.0937],
    std=[68.5005, 66.6322, 70.3232])
