"""facebookresearch/dinov3, and transformers' DINOv3ViTModel."""
from .base import Family, Target
from .mae import ANCHOR, RENAMES

FAMILY = Family('DINOv3', ANCHOR, (r'storage_tokens', ), RENAMES)
HUGGING_FACE = Family(
    'Hugging Face DINOv3', r'embeddings\.patch_embeddings',
    (r'(model\.)?layer\.', ), (
        (r'^(model\.)?layer\.', 'blocks.'),
        (r'^embeddings\.patch_embeddings\.', 'patch_embed.proj.'),
        (r'^embeddings\.register_tokens$', 'reg_token'),
        (r'^embeddings\.', ''),
        (r'\.attention\.([qkv])_proj\.', r'.attn.\1.'),
        (r'\.attention\.o_proj\.', '.attn.proj.'),
        (r'\.layer_scale([12])\.lambda1$', r'.ls\1.gamma'),
        *RENAMES,
    ))
# As transformers writes published files.
TARGET = Target(renames=(
    (r'\.attn\.(q|k|v)(uery|ey|alue)\.', r'.attention.\1_proj.'),
    (r'\.attn\.proj\.', '.attention.o_proj.'),
    (r'\.mlp\.gate\.', '.mlp.gate_proj.'),
    (r'\.mlp\.(fc1|up)\.', '.mlp.up_proj.'),
    (r'\.mlp\.fc2\.', '.mlp.down_proj.'),
    (r'\.ls([12])\.gamma$', r'.layer_scale\1.lambda1'),
    (r'^blocks\.', 'layer.'),
    (r'^patch_embed\.proj\.', 'embeddings.patch_embeddings.'),
    (r'^reg_token$', 'embeddings.register_tokens'),
    (r'^(cls_token|mask_token)$', r'embeddings.\1'),
), lacks=('norm_pre', 'norm_patches', 'dist_token'), needs=(
    'cls_token', 'blocks.0.ls1.gamma', 'blocks.0.mlp.fc1.bias',
    'blocks.0.norm1.bias'),
    model='DINOv3ViTModel')
