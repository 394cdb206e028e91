"""BEiT and BEiT v2 of microsoft/unilm, and timm's."""
from .base import Family
from .mae import ANCHOR, RENAMES

FAMILY = Family('BEiT', ANCHOR, (r'blocks\.\d+\.attn\.q_bias', ), RENAMES)
