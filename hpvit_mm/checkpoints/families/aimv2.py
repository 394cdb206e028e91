"""apple/ml-aim: AIMv2, and transformers' Aimv2VisionModel."""
from .base import Family
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
