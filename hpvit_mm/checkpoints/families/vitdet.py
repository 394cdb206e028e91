"""ViTDet of detectron2 and mmdetection."""
from .base import Family
from .mae import ANCHOR, RENAMES

FAMILY = Family('ViTDet', ANCHOR, (r'blocks\.\d+\.attn\.rel_pos_h', ),
                RENAMES)
