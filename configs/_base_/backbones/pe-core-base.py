# Perception Encoder core, ViT-B/16 (arXiv 2504.13181).
# Licence of the weights: Apache-2.0.
# In an experiment: model = dict(backbone=_base_.backbone,
# data_preprocessor=_base_.normalization)
backbone = dict(
    type='hpvit_mm.HPViT',
    arch='pe-core-base',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='hf://timm/vit_pe_core_base_patch16_224.fb'))
normalization = dict(
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5])
