from .base import BaseBackbone, Stage
from .hivit import HiViT
from .hpvit import HPViT

__all__ = ['BaseBackbone', 'HPViT', 'HiViT', 'Stage']
