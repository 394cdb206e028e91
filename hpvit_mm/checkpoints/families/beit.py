"""BEiT and BEiT v2 of microsoft/unilm, and timm's."""
from .base import Family, Target
from .hugging_face import BLOCKS, EMBEDDINGS, MLP
from .mae import ANCHOR, RENAMES

FAMILY = Family('BEiT', ANCHOR, (r'blocks\.\d+\.attn\.q_bias', ), RENAMES)
# BeitModel of transformers, without relative positions
TARGET = Target(
    renames=(*BLOCKS, *MLP, (r'\.ls([12])\.gamma$', r'.lambda_\1'),
             *EMBEDDINGS, (r'^norm\.', 'layernorm.'),
             (r'^fc_norm\.', 'pooler.layernorm.')), model='BeitModel',
    lacks=('norm_pre', 'norm_patches', 'dist_token', 'reg_token'),
    needs=('cls_token', 'blocks.0.ls1.gamma', 'blocks.0.mlp.fc1.bias',
           'blocks.0.norm1.bias'))
