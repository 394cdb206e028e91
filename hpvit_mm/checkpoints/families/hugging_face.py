"""transformers: ViT, ViTMAE, DeiT, DINOv2, BEiT, IJepa; versions 4 and 5."""
from .base import Family, Target
from .mae import RENAMES

FAMILY = Family('Hugging Face ViT',
                r'embeddings\.patch_embeddings\.projection', (), (
    (r'^embeddings\.position_embeddings$', 'pos_embed'),
    (r'^embeddings\.distillation_token$', 'dist_token'),
    (r'^embeddings\.register_tokens$', 'reg_token'),
    (r'^embeddings\.patch_embeddings\.projection\.', 'patch_embed.proj.'),
    (r'^embeddings\.', ''),
    (r'^(encoder\.)?layers?\.', 'blocks.'),
    (r'^encoder\.relative_position_bias\.', 'rel_pos_bias.'),
    (r'\.attention\.(attention\.)?(query|key|value)\.', r'.attn.\2.'),
    (r'\.attention\.(attention\.)?([qkv])_proj\.', r'.attn.\2.'),
    (r'\.attention\.(output\.dense|o_proj)\.', '.attn.proj.'),
    (r'\.attention\.attention\.relative_position_bias\.', '.attn.'),
    (r'\.intermediate\.dense\.', '.mlp.fc1.'),
    (r'^(blocks\.\d+)\.output\.dense\.', r'\1.mlp.fc2.'),
    (r'\.layernorm_before\.', '.norm1.'),
    (r'\.layernorm_after\.', '.norm2.'),
    (r'\.layer_scale([12])\.lambda1$', r'.ls\1.gamma'),
    (r'\.lambda_([12])$', r'.ls\1.gamma'),
    (r'^layernorm\.', 'norm.'),
    (r'^pooler\.layernorm\.', 'fc_norm.'),
    *RENAMES,
))
# Names as in published files, which any version of transformers reads.
EMBEDDINGS = (
    (r'^blocks\.', 'encoder.layer.'),
    (r'^patch_embed\.proj\.', 'embeddings.patch_embeddings.projection.'),
    (r'^pos_embed$', 'embeddings.position_embeddings'),
    (r'^dist_token$', 'embeddings.distillation_token'),
    (r'^reg_token$', 'embeddings.register_tokens'),
    (r'^(cls_token|mask_token)$', r'embeddings.\1'),
)
BLOCKS = (
    (r'\.attn\.(query|key|value)\.', r'.attention.attention.\1.'),
    (r'\.attn\.proj\.', '.attention.output.dense.'),
)
MLP = (
    (r'\.mlp\.fc1\.', '.intermediate.dense.'),
    (r'\.mlp\.fc2\.', '.output.dense.'),
    (r'\.norm1\.', '.layernorm_before.'),
    (r'\.norm2\.', '.layernorm_after.'),
)
NORM = ((r'^norm\.', 'layernorm.'), )
LACKS = ('ls1.gamma', 'reg_token', 'norm_pre', 'norm_patches')
NEEDS = ('pos_embed', 'blocks.0.mlp.fc1.bias', 'blocks.0.norm1.bias')
VIT = Target(
    renames=(*BLOCKS, *MLP, *EMBEDDINGS, *NORM), model='ViTModel',
    lacks=(*LACKS, 'dist_token'), needs=(*NEEDS, 'cls_token'))
DEIT = Target(
    renames=VIT.renames, model='DeiTModel', lacks=LACKS,
    needs=(*NEEDS, 'cls_token', 'dist_token'))
IJEPA = Target(
    renames=VIT.renames, model='IJepaModel',
    lacks=(*LACKS, 'dist_token', 'cls_token'), needs=NEEDS)
DINOV2 = Target(
    renames=(*BLOCKS, (r'\.ls([12])\.gamma$', r'.layer_scale\1.lambda1'),
             *EMBEDDINGS, *NORM), model='Dinov2Model',
    lacks=('norm_pre', 'norm_patches', 'dist_token', 'reg_token'),
    needs=(*NEEDS, 'cls_token', 'blocks.0.ls1.gamma'))
DINOV2_REGISTERS = Target(
    renames=DINOV2.renames, model='Dinov2WithRegistersModel',
    lacks=DINOV2.lacks[:3], needs=(*DINOV2.needs, 'reg_token'))
