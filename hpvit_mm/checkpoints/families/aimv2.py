"""apple/ml-aim: AIMv2, and transformers' Aimv2VisionModel."""
from .base import Family, Target
from .mae import RENAMES

FAMILY = Family('AIMv2', r'preprocessor\.patchifier\.proj', (
    r'trunk\.blocks\.', ), (
    (r'^preprocessor\.patchifier\.proj\.', 'patch_embed.proj.'),
    (r'^preprocessor\.patchifier\.norm\.', 'norm_patches.'),
    (r'^preprocessor\.pos_embed$', 'pos_embed'),
    (r'^trunk\.post_trunk_norm\.', 'norm.'),
    (r'^trunk\.', ''),
    (r'\.norm_([12])\.', r'.norm\1.'),
    (r'\.mlp\.fc1\.', '.mlp.gate.'),
    (r'\.mlp\.fc3\.', '.mlp.up.'),
))
HUGGING_FACE = Family(
    'Hugging Face AIMv2', r'embeddings\.patch_embed', (
        r'encoder\.layers\.\d+\.rms_norm1', ), (
        (r'^encoder\.layers\.', 'blocks.'),
        (r'^embeddings\.patch_embed\.', 'patch_embed.proj.'),
        (r'^embeddings\.rms_norm\.', 'norm_patches.'),
        (r'^embeddings\.position_embedding\.weight$', 'pos_embed'),
        (r'^rms_norm\.', 'norm.'),
        (r'\.rms_norm([12])\.', r'.norm\1.'),
        (r'\.attention\.([qkv])_proj\.', r'.attn.\1.'),
        (r'\.attention\.out_proj\.', '.attn.proj.'),
        (r'\.ffn\.', '.mlp.'),
        *RENAMES,
    ))
# Aimv2VisionModel of transformers
TARGET = Target(renames=(
    (r'\.attn\.(q|k|v)(uery|ey|alue)\.', r'.attention.\1_proj.'),
    (r'\.attn\.proj\.', '.attention.out_proj.'),
    (r'\.mlp\.(gate|up)\.', r'.ffn.\1_proj.'),
    (r'\.mlp\.fc2\.', '.ffn.down_proj.'),
    (r'\.norm([12])\.', r'.rms_norm\1.'),
    (r'^blocks\.', 'encoder.layers.'),
    (r'^patch_embed\.proj\.', 'embeddings.patch_embed.'),
    (r'^norm_patches\.', 'embeddings.rms_norm.'),
    (r'^pos_embed$', 'embeddings.position_embedding.weight'),
    (r'^norm\.', 'rms_norm.'),
), lacks=('ls1.gamma', 'reg_token', 'dist_token', 'cls_token', 'norm_pre',
          'norm1.bias'), needs=('pos_embed', ), model='Aimv2VisionModel')
