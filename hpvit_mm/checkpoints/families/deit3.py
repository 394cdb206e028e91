"""DeiT-III of facebookresearch/deit."""
from .base import Family
from .mae import ANCHOR, RENAMES

FAMILY = Family('DeiT-III', ANCHOR, (r'blocks\.\d+\.gamma_1', ), RENAMES)
