"""MAE, timm, DeiT, DINO, MoCo v3, I-JEPA."""
from .base import Family, Target

ANCHOR = r'patch_embed\.proj'
RENAMES = (
    # facebookresearch/dinov2 with block_chunks: blocks.{chunk}.{block}
    (r'^blocks\.\d+\.(\d+)\.', r'blocks.\1.'),
    (r'^register_tokens$', 'reg_token'),
    (r'\.gamma_([12])$', r'.ls\1.gamma'),
)
FAMILY = Family('MAE or timm ViT', ANCHOR, (r'blocks\.', ), RENAMES)
TARGET = Target('model', lacks=('ls1.gamma', 'reg_token', 'norm_pre'),
                needs_cls=True)
TIMM = Target('')
