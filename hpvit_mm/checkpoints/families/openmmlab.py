"""mmpretrain, mmselfsup, mmcls and mmseg: ViT, MAE, DeiT, BEiT."""
from .base import Family, Target

FAMILY = Family('OpenMMLab ViT', r'patch_embed\.projection',
                (r'layers\.\d+\.', ), (
    (r'^layers\.(\d+)\.ln', r'blocks.\1.norm'),
    (r'^layers\.', 'blocks.'),
    (r'^patch_embed\.projection\.', 'patch_embed.proj.'),
    (r'\.attn\.attn\.in_proj_(weight|bias)$', r'.attn.qkv.\1'),  # mmseg
    (r'\.attn\.attn\.out_proj\.', '.attn.proj.'),
    (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
    (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
    (r'\.ffn\.w12\.', '.mlp.fc1.'),
    (r'\.ffn\.w3\.', '.mlp.fc2.'),
    (r'\.(?:attn|ffn)\.gamma([12])\.weight$', r'.ls\1.gamma'),
    (r'\.gamma_([12])$', r'.ls\1.gamma'),
    (r'^(pre_norm|ln_pre)\.', 'norm_pre.'),
    (r'^ln1\.', 'norm.'),
    (r'^ln2\.', 'fc_norm.'),
))
TARGET = Target('state_dict', (
    (r'\.ls1\.gamma$', '.attn.gamma1.weight'),
    (r'\.ls2\.gamma$', '.ffn.gamma2.weight'),
    (r'\.mlp\.fc1\.', '.ffn.layers.0.0.'),
    (r'\.mlp\.fc2\.', '.ffn.layers.1.'),
    (r'^blocks\.(\d+)\.norm', r'layers.\1.ln'),
    (r'^blocks\.', 'layers.'),
    (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
    (r'^norm_pre\.', 'pre_norm.'),
    (r'^norm\.', 'ln1.'),
    (r'^fc_norm\.', 'ln2.'),
    (r'^', 'backbone.'),
), lacks=('reg_token', ))
