"""Models: the backbones, their layers, and the neck of plain backbones."""
from .backbones import BaseBackbone, HiViT, HPViT, Stage
from .necks import SimpleFeaturePyramid

__all__ = ['BaseBackbone', 'HPViT', 'HiViT', 'SimpleFeaturePyramid', 'Stage']
