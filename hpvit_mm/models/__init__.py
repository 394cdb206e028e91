"""Models: the backbones, their layers, and the necks of plain backbones."""
from .backbones import BaseBackbone, Hiera, HiViT, HPViT, Stage
from .necks import BatchNormNeck, SimpleFeaturePyramid

__all__ = [
    'BaseBackbone', 'BatchNormNeck', 'HPViT', 'HiViT', 'Hiera',
    'SimpleFeaturePyramid', 'Stage'
]
