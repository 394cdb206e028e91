from .hpvit import HPViT

__all__ = ['HPViT']
