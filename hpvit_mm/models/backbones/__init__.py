from .base import BaseBackbone, Stage
from .hiera import Hiera
from .hivit import HiViT
from .hpvit import HPViT

__all__ = ['BaseBackbone', 'HPViT', 'HiViT', 'Hiera', 'Stage']
