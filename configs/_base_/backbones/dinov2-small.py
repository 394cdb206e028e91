# DINOv2 ViT-S/14 (arXiv 2304.07193).
# Licence of the weights: Apache-2.0.
# Its kernel of 14 pixels is resized to 16 where the stride asks for it.
# In an experiment: model = dict(backbone=_base_.backbone,
# data_preprocessor=_base_.normalization)
backbone = dict(
    type='hpvit_mm.HPViT',
    arch='dinov2-small',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='hf://timm/vit_small_patch14_dinov2.lvd142m'))
normalization = dict(
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375])
