"""Models: the backbone, its layers, and the neck of plain backbones."""
from .backbones import HPViT
from .necks import SimpleFeaturePyramid

__all__ = ['HPViT', 'SimpleFeaturePyramid']
