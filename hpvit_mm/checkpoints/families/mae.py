"""MAE, timm, DeiT, DINO, MoCo v3, I-JEPA, EVA-02."""
from .base import Family, Target

ANCHOR = r'patch_embed\.proj'
RENAMES = (
    # facebookresearch/dinov2 with block_chunks: blocks.{chunk}.{block}
    (r'^blocks\.\d+\.(\d+)\.', r'blocks.\1.'),
    (r'^(register|storage)_tokens$', 'reg_token'),
    (r'^rope\.freqs$', 'rotary.freqs'),
    (r'^patch_embed\.norm\.', 'norm_patches.'),
    (r'\.attn\.([qkv])_proj\.', r'.attn.\1.'),
    (r'\.attn\.inner_attn_ln\.', '.attn.norm.'),
    (r'\.mlp\.ffn_ln\.', '.mlp.norm.'),
    # SwiGLU
    (r'\.mlp\.(w12|weights_in)\.', '.mlp.fc1.'),
    (r'\.mlp\.(w1|fc1_g|gate_proj)\.', '.mlp.gate.'),
    (r'\.mlp\.(w2|fc1_x|up_proj)\.', '.mlp.up.'),
    (r'\.mlp\.(w3|weights_out|down_proj)\.', '.mlp.fc2.'),
    (r'\.gamma_([12])$', r'.ls\1.gamma'),
)
FAMILY = Family('MAE or timm ViT', ANCHOR, (r'blocks\.', ), RENAMES)
TARGET = Target('model', lacks=('ls1.gamma', 'reg_token', 'norm_pre'),
                needs=('cls_token', ))
TIMM = Target()
