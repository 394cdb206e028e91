# DINOv3 ViT-B/16 (arXiv 2508.10104).
# Licence of the weights: DINOv3 License.
# The official weights are gated: accept the licence at huggingface.co/
# facebook/dinov3-vitb16-pretrain-lvd1689m and name that model, or a
# downloaded file.
# In an experiment: model = dict(backbone=_base_.backbone,
# data_preprocessor=_base_.normalization)
backbone = dict(
    type='hpvit_mm.HPViT',
    arch='dinov3-base',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='hf://timm/vit_base_patch16_dinov3.lvd1689m'))
normalization = dict(
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375])
