"""Models: the backbone, its layers, and the neck of plain backbones."""
from .backbones import BaseBackbone, HPViT, Stage
from .necks import SimpleFeaturePyramid

__all__ = ['BaseBackbone', 'HPViT', 'SimpleFeaturePyramid', 'Stage']
