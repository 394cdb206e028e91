"""The layouts of plain ViT checkpoints: how each names what MAE names so.

A layout is recognised by names that no other one has, and is a list of
regular expressions that turn its names into MAE's. To add one, add a
:class:`Layout` to ``LAYOUTS``, before those that its files would match too,
and a writer of such a file to the tests.
"""
import re
from dataclasses import dataclass
from typing import Dict, Iterable, Tuple

import torch
from torch import Tensor

Renames = Tuple[Tuple[str, str], ...]


@dataclass(frozen=True)
class Layout:
    """The names of one family of checkpoint files.

    Attributes:
        name: What the report calls it.
        marks: Regular expressions; each must match the start of a name.
        renames: Regular expressions and replacements that lead to MAE's
            names, applied one after the other.
    """
    name: str
    marks: Tuple[str, ...]
    renames: Renames = ()

    def matches(self, names: Iterable[str]) -> bool:
        """Whether a file with these names is of this layout."""
        names = tuple(names)
        return all(
            any(re.match(mark, name) for name in names)
            for mark in self.marks)

    def rename(self, name: str) -> str:
        """MAE's name of a tensor; unknown names stay as they are."""
        for pattern, replacement in self.renames:
            name = re.sub(pattern, replacement, name)
        return name


# transformers, models/{vit,vit_mae,deit,dinov2,dinov2_with_registers,beit}.
_HUGGING_FACE: Renames = (
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
)

# mmpretrain, mmselfsup and mmcls: VisionTransformer, MAEViT, BEiTViT; mmseg:
# VisionTransformer, MAE, BEiT.
_OPENMMLAB: Renames = (
    (r'^layers\.(\d+)\.ln', r'blocks.\1.norm'),
    (r'^layers\.', 'blocks.'),
    (r'^patch_embed\.projection\.', 'patch_embed.proj.'),
    (r'\.attn\.attn\.in_proj_(weight|bias)$', r'.attn.qkv.\1'),
    (r'\.attn\.attn\.out_proj\.', '.attn.proj.'),
    (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
    (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
    (r'\.(?:attn|ffn)\.gamma([12])\.weight$', r'.ls\1.gamma'),
    (r'\.gamma_([12])$', r'.ls\1.gamma'),
    (r'^(pre_norm|ln_pre)\.', 'norm_pre.'),
    (r'^ln1\.', 'norm.'),
    (r'^ln2\.', 'fc_norm.'),
)

# MAE, timm, DeiT, DINO and DINOv2, BEiT, ViTDet: one family, whose members
# add parts of their own under names that do not collide.
_MAE: Renames = (
    # facebookresearch/dinov2 with block_chunks: blocks.{chunk}.{block}
    (r'^blocks\.\d+\.(\d+)\.', r'blocks.\1.'),
    (r'^register_tokens$', 'reg_token'),
    (r'\.gamma_([12])$', r'.ls\1.gamma'),
)

_BLOCK = r'(blocks|layers)\.(\d+\.)+'
LAYOUTS = (
    Layout('HPViT', (r'norms\.\d+\.', r'blocks\.')),
    Layout('Hugging Face BEiT', (
        r'embeddings\.patch_embeddings\.projection\.',
        r'(encoder\.)?layers?\.\d+\.lambda_1'), _HUGGING_FACE),
    Layout('Hugging Face DINOv2', (
        r'embeddings\.patch_embeddings\.projection\.',
        r'(encoder\.)?layers?\.\d+\.layer_scale1\.'), _HUGGING_FACE),
    Layout('Hugging Face ViT', (
        r'embeddings\.patch_embeddings\.projection\.', ), _HUGGING_FACE),
    Layout('mmsegmentation ViT', (
        r'patch_embed\.projection\.', r'layers\.\d+\.attn\.attn\.'),
        _OPENMMLAB),
    Layout('OpenMMLab BEiT', (
        r'patch_embed\.projection\.', r'layers\.\d+\.attn\.q_bias'),
        _OPENMMLAB),
    Layout('OpenMMLab ViT', (
        r'patch_embed\.projection\.', r'layers\.\d+\.'), _OPENMMLAB),
    Layout('ViTDet', (
        r'patch_embed\.proj\.', r'blocks\.\d+\.attn\.rel_pos_h'), _MAE),
    Layout('BEiT', (
        r'patch_embed\.proj\.', r'blocks\.\d+\.attn\.q_bias'), _MAE),
    Layout('DINOv2', (
        r'patch_embed\.proj\.', _BLOCK + r'ls1\.gamma', r'mask_token'), _MAE),
    Layout('DeiT-III', (
        r'patch_embed\.proj\.', r'blocks\.\d+\.gamma_1'), _MAE),
    Layout('MAE or timm ViT', (r'patch_embed\.proj\.', r'blocks\.'), _MAE),
)

# From MAE's names to those of a layout, for the way back.
OUT_RENAMES = dict(
    mae=(),
    timm=(),
    mmpretrain=(
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
    ),
    # as published files have them, which transformers of any version reads
    hf=(
        (r'\.attn\.(query|key|value)\.', r'.attention.attention.\1.'),
        (r'\.attn\.proj\.', '.attention.output.dense.'),
        (r'\.mlp\.fc1\.', '.intermediate.dense.'),
        (r'\.mlp\.fc2\.', '.output.dense.'),
        (r'\.norm1\.', '.layernorm_before.'),
        (r'\.norm2\.', '.layernorm_after.'),
        (r'^blocks\.', 'encoder.layer.'),
        (r'^pos_embed$', 'embeddings.position_embeddings'),
        (r'^cls_token$', 'embeddings.cls_token'),
        (r'^patch_embed\.proj\.', 'embeddings.patch_embeddings.projection.'),
        (r'^(fc_)?norm\.', 'layernorm.'),
    ),
)


def fuse(tensors: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Put queries, keys and values that are kept apart together.

    Those are matrices and biases of their own (Hugging Face), or biases of
    queries and values only, beside one matrix (BEiT: keys have none, because
    it would change nothing).

    Args:
        tensors: Tensors by MAE's names, but for the parts of ``attn``.

    Returns:
        The tensors with ``attn.qkv.weight`` (3 * C, C) and, where there is
        any bias, ``attn.qkv.bias`` (3 * C).
    """
    found = {}
    for name, tensor in tensors.items():
        part = re.match(
            r'(blocks\.\d+\.attn\.)(?:(q|k|v)(?:uery|ey|alue)?\.(weight|bias)'
            r'|(q|v)_(bias))$', name)
        if part:
            kind = part[3] or part[5]
            found.setdefault(part[1] + f'qkv.{kind}',
                             {})[part[2] or part[4]] = tensor
        else:
            found[name] = tensor
    for name, parts in found.items():
        if isinstance(parts, dict):
            if name.endswith('bias') and 'q' in parts and 'k' not in parts:
                parts['k'] = torch.zeros_like(parts['q'])
            if set(parts) == {'q', 'k', 'v'}:
                found[name] = torch.cat([parts[key] for key in 'qkv'])
    # An incomplete triple is left to be reported as missing.
    return {n: t for n, t in found.items() if isinstance(t, Tensor)}
