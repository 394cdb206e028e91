"""HPViT's own files."""
from .base import Family

FAMILY = Family('HPViT', r'patch_embed\.proj',
                (r'norms\.(block)?\d+\.', r'blocks\.'))
