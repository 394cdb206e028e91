"""Convert HPViT's checkpoints back to those of plain ViTs."""
import re
from pathlib import Path
from typing import Dict, Optional, Union

import torch
from torch import Tensor

from hpvit_mm.errors import UserError
from hpvit_mm.models.backbones.archs import ROTARY, resolve_arch
from .adapt import KEPT, last_norm, reorder_channels
from .architecture import HIDDEN
from .convert import own_record
from .families import (TARGETS, fuse_qkv, rename, split_bias, split_mlp,
                       split_qkv)
from .hugging_face import for_transformers, write_folder
from .plain import read_plain
from .read import read_checkpoint
from .report import LoadReport
from .write import check_destination, write_checkpoint


def export(checkpoint: str, out: Optional[str], to: str,
           force: bool = False,
           arch: Union[str, dict, None] = None) -> LoadReport:
    """Write an HPViT's checkpoint in the format of a plain ViT.

    Where nothing was resampled or trained, the encoder's tensors are bit for
    bit those that were converted.

    Args:
        checkpoint: An HPViT's checkpoint, alone or in a larger model's.
        out: The file to write, for 'hf' the folder; None writes nothing.
        to: 'mae', 'timm', 'mmpretrain' or 'hf'.
        force: Whether ``out`` may be replaced. Defaults to False.
        arch: The architecture, for files that have no record of it. Defaults
            to None: as the file tells.

    Returns:
        The report.

    Raises:
        UserError: If the checkpoint is not an HPViT's, or has parts that the
            format has no place for.
    """
    if out:
        check_destination(out, force)
    content = read_checkpoint(checkpoint)
    plain = read_plain(content, str(checkpoint))
    if not plain.is_hpvit:
        raise UserError(f'{checkpoint} is of the family {plain.family}: '
                        '--to takes checkpoints of HPViT.')
    record = own_record(content)
    arch = arch or record.get('backbone', {}).get('arch')
    if arch is None and (to == 'hf' or not plain.structure['abs_pos']):
        raise UserError(f'{checkpoint} does not tell its activation and its '
                        'rotary positions: give --arch.')
    arch = resolve_arch(arch) if arch else {}
    report = LoadReport(plain.source, plain.family, ignored=plain.ignored)
    tensors = _to_mae(plain.tensors, record.get('plain', {}), report,
                      to != 'timm')
    if arch.get('rotary') and to != 'hf':  # transformers has our order
        rotary = dict(ROTARY, **arch['rotary'])
        reorder_channels(tensors, arch['num_heads'], rotary['order'],
                         rotary['style'], inverse=True)
    if plain.structure['qkv_bias'] == 'qv' and to in ('timm', 'hf'):
        tensors = split_bias(tensors)  # the others have qkv.bias
    if to == 'hf':
        tensors, config = for_transformers(
            tensors, arch, record.get('backbone', {}), plain.source)
    elif to == 'timm':
        tensors = _timm_names(_without_new_biases(tensors), arch)
    else:
        tensors = _without_new_biases(tensors)
        if any(arch.get(name) not in (None, False, 'gelu') for name in (
                *HIDDEN, 'attn_norm', 'mlp_norm', 'qk_norm', 'patch_norm')):
            raise UserError(
                f'{plain.source} is of a network that the format {to!r} has '
                'no place for (rotary positions, another activation or other '
                'norms): use --to timm.')
        TARGETS[to].check(tensors, plain.source, f'the format {to!r}')
        tensors = {rename(name, TARGETS[to].renames): tensor
                   for name, tensor in tensors.items()}
    report.used = list(tensors)
    if out and to == 'hf':
        write_folder(tensors, config, Path(out))
    elif out:
        write_checkpoint(tensors, out, {}, TARGETS[to].entry)
    return report


def _timm_names(tensors: Dict[str, Tensor], arch: dict
                ) -> Dict[str, Tensor]:
    """Return tensors by timm's names, which depend on the family.

    timm's ``Eva`` has the rotary families. Its B and L of EVA-02 keep
    queries, keys and values apart; all SwiGLU but EVA-02's Ti and S and
    DINOv2's g keep gate and value apart.
    """
    rotary = arch.get('rotary')
    if arch.get('act') == 'swiglu' and (
            arch['mlp_norm'] or not arch['abs_pos'] or not arch['bias']):
        tensors = split_mlp(tensors, 'fc1_g', 'fc1_x')
    if rotary and arch['mlp_norm']:
        tensors = {name.replace('.qkv.', '.'): tensor for name, tensor in
                   split_qkv(fuse_qkv(tensors)).items()}
        tensors = {re.sub(r'\.(q|k|v)(uery|ey|alue)\.', r'.\1_proj.', name):
                   tensor for name, tensor in tensors.items()
                   if not re.search(r'\.key\.bias$', name)}
    renames = [(r'^norm_patches\.', 'patch_embed.norm.'),
               (r'^rotary\.freqs$', 'rope.freqs')]
    if rotary or any(name.endswith('.q_bias') for name in tensors):
        # of timm's Eva and Beit
        renames.append((r'\.ls([12])\.gamma$', r'.gamma_\1'))
    return {rename(name, renames): tensor
            for name, tensor in tensors.items()}


def _without_new_biases(tensors: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Return tensors without the zero biases that the networks lack.

    timm's DINOv3 has no biases of queries and values, CLIP and PE none of the
    patch embedding.
    """
    for absent, pattern in (
            ('pos_embed' not in tensors, r'.*\.attn\.[qv]_bias'),
            ('norm_pre.weight' in tensors, r'patch_embed\.proj\.bias')):
        names = [name for name in tensors if re.fullmatch(pattern, name)]
        if absent and not any(tensors[name].any() for name in names):
            tensors = {name: tensor for name, tensor in tensors.items()
                       if name not in names}
    return tensors


def _to_mae(tensors: Dict[str, Tensor], record: dict, report: LoadReport,
            rows_of_all: bool) -> Dict[str, Tensor]:
    """Return an HPViT's tensors by MAE's names, with one position embedding.

    Positions of prefix tokens that have no rows in it are added to them. With
    ``rows_of_all`` cls and distillation token have rows, as everywhere but
    in timm, else as in the file that was converted.
    """
    last = last_norm(tensors)
    plain = {}
    for name, tensor in tensors.items():
        if name.startswith(last) and record.get('last_norm', '') is None:
            report.ignored[name] = 'the plain ViT had no last norm'
        elif name.startswith(last):
            norm = record.get('last_norm') or 'norm'
            plain.setdefault(name.replace(last, f'{norm}.'), tensor)
        elif name.startswith(('norms.', 'pools.')):
            report.ignored[name] = 'a plain ViT has no such part'
        elif name.startswith(KEPT):
            plain[name[len(KEPT):]] = tensor
        else:
            plain[name] = tensor
    prefix = plain.pop('prefix_pos_embed', None)
    rows = record.get('position_rows')
    if rows is None or rows_of_all:
        rows = int('cls_token' in plain)
        if rows_of_all and record.get('dist_token'):
            rows += 1
    if prefix is not None and 'pos_embed' in plain:
        start = 0
        for name in ('cls_token', 'reg_token'):
            if name in plain:
                count = plain[name].shape[1]
                own = prefix[:, max(start, rows):start + count]
                if own.shape[1]:
                    plain[name] = torch.cat([
                        plain[name][:, :count - own.shape[1]],
                        plain[name][:, count - own.shape[1]:] + own], dim=1)
                start += count
    if rows and 'pos_embed' in plain and (prefix is not None or rows_of_all):
        if prefix is None:
            prefix = plain['pos_embed'].new_zeros(
                1, rows, plain['pos_embed'].shape[2])
        plain['pos_embed'] = torch.cat(
            [prefix[:, :rows], plain['pos_embed']], dim=1)
    if record.get('dist_token'):
        plain['dist_token'] = plain.pop('reg_token')
    return plain
