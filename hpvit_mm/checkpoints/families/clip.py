"""CLIP, OpenCLIP and PE; transformers' CLIP and SigLIP (image towers)."""
from .base import Family, Target

FAMILY = Family('CLIP', r'conv1', (r'transformer\.resblocks\.', ), (
    (r'^conv1\.', 'patch_embed.proj.'),
    (r'^class_embedding$', 'cls_token'),
    (r'^positional_embedding$', 'pos_embed'),
    (r'^ln_pre\.', 'norm_pre.'),
    (r'^ln_post\.', 'norm.'),
    (r'^transformer\.resblocks\.', 'blocks.'),
    (r'\.ln_([12])\.', r'.norm\1.'),
    (r'\.ls_([12])\.gamma$', r'.ls\1.gamma'),
    (r'^(blocks\.\d+)\.attn\.in_proj_', r'\1.attn.qkv.'),
    (r'^(blocks\.\d+)\.attn\.out_proj\.', r'\1.attn.proj.'),
    (r'\.mlp\.c_fc\.', '.mlp.fc1.'),
    (r'\.mlp\.c_proj\.', '.mlp.fc2.'),
    (r'^proj$', 'head.proj'),
))
HUGGING_FACE = Family(
    'Hugging Face CLIP', r'embeddings\.patch_embedding',
    (r'encoder\.layers\.', ), (
        (r'^encoder\.layers\.', 'blocks.'),
        (r'^embeddings\.patch_embedding\.', 'patch_embed.proj.'),
        (r'^embeddings\.class_embedding$', 'cls_token'),
        (r'^embeddings\.position_embedding\.weight$', 'pos_embed'),
        (r'^pre_layrnorm\.', 'norm_pre.'),
        (r'^post_layernorm\.', 'norm.'),
        (r'^head\.probe$', 'attn_pool.probe'),
        (r'\.layer_norm([12])\.', r'.norm\1.'),
        (r'\.self_attn\.([qkv])_proj\.', r'.attn.\1.'),
        (r'\.self_attn\.out_proj\.', '.attn.proj.'),
    ))
# CLIPVisionModel and SiglipVisionModel of transformers
RENAMES = (
    (r'\.attn\.(q|k|v)(uery|ey|alue)\.', r'.self_attn.\1_proj.'),
    (r'\.attn\.proj\.', '.self_attn.out_proj.'),
    (r'\.norm([12])\.', r'.layer_norm\1.'),
    (r'^blocks\.', 'encoder.layers.'),
    (r'^patch_embed\.proj\.', 'embeddings.patch_embedding.'),
    (r'^cls_token$', 'embeddings.class_embedding'),
    (r'^pos_embed$', 'embeddings.position_embedding.weight'),
    (r'^norm_pre\.', 'pre_layrnorm.'),
    (r'^norm\.', 'post_layernorm.'),
    ('^', 'vision_model.'),
)
NEEDS = ('pos_embed', 'blocks.0.attn.qkv.bias', 'blocks.0.mlp.fc1.bias',
         'blocks.0.norm1.bias')
LACKS = ('ls1.gamma', 'reg_token', 'dist_token', 'norm_patches')
TARGET = Target(
    renames=RENAMES, lacks=(*LACKS, 'patch_embed.proj.bias'),
    needs=(*NEEDS, 'norm_pre.weight', 'cls_token'), model='CLIPVisionModel')
SIGLIP = Target(
    renames=RENAMES, lacks=(*LACKS, 'norm_pre', 'cls_token'),
    needs=(*NEEDS, 'patch_embed.proj.bias'), model='SiglipVisionModel')
