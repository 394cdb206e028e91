from .batch_norm import BatchNormNeck
from .simple_feature_pyramid import SimpleFeaturePyramid

__all__ = ['BatchNormNeck', 'SimpleFeaturePyramid']
