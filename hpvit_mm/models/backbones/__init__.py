from .base import BaseBackbone, Stage
from .hpvit import HPViT

__all__ = ['BaseBackbone', 'HPViT', 'Stage']
