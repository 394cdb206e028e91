"""facebookresearch/dinov2, with and without registers."""
from .base import Family
from .mae import ANCHOR, RENAMES

FAMILY = Family('DINOv2', ANCHOR, (
    r'(blocks|layers)\.(\d+\.)+ls1\.gamma', r'mask_token'), RENAMES)
