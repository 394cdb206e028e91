"""Convert checkpoints of plain ViTs to HPViT's, and back."""
import inspect
import json
import math
import os
import re
import shutil
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

import hpvit_mm
from hpvit_mm.errors import UserError
from hpvit_mm.models.backbones.archs import (ARCHS, ARGUMENTS, REQUIRED,
                                             ROTARY, SIZES, resolve_arch)
from .adapt import KEPT, fit, last_norm, reorder_channels
from .families import (HUGGING_FACE, TARGETS, fuse_qkv, rename,
                       split_bias, split_mlp, split_qkv)
from .architecture import HIDDEN, arch_of, candidates, default_heads
from .plain import PlainViT, read_plain
from .read import read_checkpoint
from .report import LoadReport, check_finite
from .write import check_destination, write_checkpoint


def convert(checkpoint: str, out: Optional[str], patch_size: int = 16,
            patch_stride: int = 4,
            stage_depths: Optional[Sequence[int]] = None,
            pooling: str = 'conv', arch: Optional[str] = None,
            img_size: Union[int, Sequence[int], None] = None,
            with_cls_token: Optional[bool] = None, patch_resize: str = 'pinv',
            prefix: Optional[str] = None, drop: Sequence[str] = (),
            sha256: Optional[str] = None, force: bool = False
            ) -> Tuple[LoadReport, dict]:
    """Write a plain ViT's checkpoint as an HPViT's.

    Parts that the HPViT has no place for, the prefix tokens and the last
    norm, are kept in the file under 'plain.' for :func:`export`.

    Args:
        checkpoint: A file, a URL, or a folder of Hugging Face.
        out: The file to write, ``.safetensors`` or any other ending for
            ``torch.save``; None writes nothing.
        patch_size: Side of HPViT's patches. Defaults to 16.
        patch_stride: Stride of the first stage. Defaults to 4.
        stage_depths: Blocks per stage. Defaults to HPViT's for that depth.
        pooling: 'conv' or 'avg'. Defaults to 'conv'.
        arch: Name of the architecture. Defaults to None: as the file tells.
        img_size: Side of the images to whose grid the positions are
            resampled. Defaults to None: the grid of the checkpoint.
        with_cls_token: Whether to keep the prefix tokens: cls, and registers
            or a distillation token where there are any. Defaults to None: if
            the file tells a named architecture that has them.
        patch_resize, prefix, drop, sha256: As in ``init_cfg`` of HPViT.
        force: Whether ``out`` may be replaced. Defaults to False.

    Returns:
        The report, and the arguments of the backbone that the file fits.

    Raises:
        UserError: If the checkpoint cannot be read or does not fit, or if
            ``out`` cannot be written.
    """
    from hpvit_mm.models import HPViT
    if out:
        check_destination(out, force)
    content = read_checkpoint(checkpoint, sha256)
    plain = read_plain(content, str(checkpoint), prefix, drop)
    record = own_record(content)
    if plain.is_hpvit and stage_depths is None:  # copy its backbone
        check_finite(plain.tensors, plain.source)
        report = LoadReport(plain.source, plain.family, ignored=plain.ignored,
                            used=list(plain.tensors))
        if out:
            write_checkpoint(plain.tensors, out, dict(
                record, hpvit_mm=hpvit_mm.__version__))
        return report, record.get('backbone', {})
    arch = arch or record.get('backbone', {}).get('arch')
    kwargs = dict(backbone_arguments(plain, with_cls_token, patch_size, arch),
                  patch_stride=patch_stride, pooling=pooling)
    if stage_depths is not None:
        kwargs['stage_depths'] = tuple(stage_depths)
    if img_size is not None:
        kwargs['img_size'] = img_size
    with torch.device('meta'):
        backbone = HPViT(**kwargs)
    kwargs['stage_depths'] = backbone.stage_depths
    tensors, report = fit(backbone, plain, patch_resize)
    check_finite(tensors, plain.source)
    for module in (*backbone.pools, *backbone.norms.values()):
        module.to_empty(device='cpu')  # the parts that no plain ViT has
        if hasattr(module, 'reset_parameters'):
            module.reset_parameters()
    ordered = dict(backbone.state_dict(), **tensors)
    for name, tensor in plain.tensors.items():
        if name in report.ignored and re.match(
                r'(cls_token|reg_token|prefix_pos_embed|(fc_)?norm\.)', name):
            ordered[KEPT + name] = tensor
            report.ignored[name] += '; kept in the file for the way back'
        elif name.startswith(KEPT) and name[len(KEPT):] not in ordered:
            ordered[name] = tensor
    meta = dict(hpvit_mm=hpvit_mm.__version__, backbone=plain_data(kwargs),
                plain=record.get('plain') or _record(plain))
    if out:
        write_checkpoint(ordered, out, meta)
    return report, meta['backbone']


def backbone_arguments(plain: PlainViT,
                       with_cls_token: Optional[bool] = None,
                       patch_size: Optional[int] = None,
                       known: Union[str, dict, None] = None) -> dict:
    """Return the arguments of an HPViT that the file tells.

    ``arch`` is ``known`` if it is given, else the name of the architecture
    whose flags all match, else a dict. ``with_cls_token`` and ``patch_size``
    are those of :func:`convert`; None leaves them to the architecture.
    """
    arch = arch_of(plain)
    flags = {name: arch.pop(name) for name in ARGUMENTS if name in arch}
    is_plain = set(arch) - {'act'} == set(REQUIRED) and not (
        flags['num_registers']) and arch.get('act', 'gelu') == 'gelu' and all(
        flags[name] == ARGUMENTS[name] for name in (
            'qkv_bias', 'norm_cfg', 'layer_scale_init_value', 'pre_norm'))
    names = named(plain)
    if known:
        pass
    elif is_plain:  # as fine-tuned, without prefix tokens
        known = next((name for name in SIZES if all(
            ARCHS[name][key] == arch[key] for key in REQUIRED)), arch)
    else:
        known = names[0] if names else arch
    kwargs = dict(arch=known, in_channels=plain.in_channels)
    base = resolve_arch(known)
    if patch_size is None and flags['patch_size'] != base.get(
            'patch_size', 16):
        patch_size = 16
    if patch_size:
        kwargs['patch_size'] = patch_size
    if plain.grid:
        size = tuple(side * (patch_size or flags['patch_size'])
                     for side in plain.grid)
        kwargs['img_size'] = size[0] if size[0] == size[1] else size
        if not patch_size and kwargs['img_size'] == base.get('img_size', 224):
            del kwargs['img_size']
    for name in ('qkv_bias', 'layer_scale_init_value', 'pre_norm',
                 'norm_cfg'):
        default = base.get(name, ARGUMENTS[name])
        if name == 'qkv_bias' and default == 'qv' and not flags[name]:
            continue
        if name == 'norm_cfg' and name not in plain.told \
                and flags[name]['type'] == default['type']:
            continue  # the eps is that of the architecture
        if flags[name] != default and not (
                name == 'layer_scale_init_value' and default
                and flags[name]):
            kwargs[name] = flags[name]
    if with_cls_token:
        kwargs['with_cls_token'] = 'cls_token' in plain.tensors
        kwargs['num_registers'] = plain.prefix_tokens.get('reg_token', 0)
    elif with_cls_token is False:
        kwargs.update(with_cls_token=False, num_registers=0)
    return kwargs


def named(plain: PlainViT) -> List[str]:
    """Return the named architectures that the file tells for sure."""
    if not {'act', 'rotary'} <= plain.told.keys():
        return []
    heads = arch_of(plain)['num_heads']
    return [name for name in candidates(plain)
            if ARCHS[name]['num_heads'] == heads]


def told_arguments(checkpoint: str, options: dict) -> dict:
    """Return the arguments of the HPViT that a checkpoint was made for.

    Args:
        checkpoint: As ``init_cfg`` takes it.
        options: Further entries of ``init_cfg``.

    Raises:
        UserError: If the file does not tell all of the architecture.
    """
    content = read_checkpoint(checkpoint, options.get('sha256'))
    plain = read_plain(content, str(checkpoint), options.get('prefix'),
                       options.get('drop', ()))
    if plain.is_hpvit:
        kwargs = own_record(content).get('backbone')
        if not kwargs:
            raise UserError(f'{checkpoint} does not tell the arguments of '
                            'its backbone: give arch, and what else differs '
                            'from the defaults.')
        return kwargs
    if not {'act', 'rotary'} <= plain.told.keys():
        found = candidates(plain)[:6]
        names = f'such as {", ".join(map(repr, found))}' if found else \
            'which tools/inspect_checkpoint.py describes'
        raise UserError(
            f'{checkpoint} does not tell its activation and its positions, '
            f'and networks of other families have the same tensors: give '
            f'arch, {names}.')
    arch = arch_of(plain)
    for name in named(plain)[:1]:
        arch = {'base': name, 'img_size': arch.get('img_size', 224)}
    return dict(arch=arch, in_channels=plain.in_channels)


def _record(plain: PlainViT) -> dict:
    """Return what export needs and the tensors do not tell."""
    norm = next((n for n in ('norm', 'fc_norm')
                 if f'{n}.weight' in plain.tensors), None)
    return dict(family=plain.family, source=Path(plain.source).name,
                position_rows=plain.position_rows, last_norm=norm,
                dist_token=plain.has_dist_token)


def own_record(content: dict) -> dict:
    """Return the checked record that :func:`convert` wrote to a file."""
    meta = content.get('meta')
    if not isinstance(meta, dict):
        return {}
    text = meta.get('hpvit_mm')  # of a training a dict
    if isinstance(text, str) and text.startswith('{'):  # of safetensors
        try:
            meta = json.loads(text)
        except ValueError:
            return {}
    return {key: meta[key] for key in ('hpvit_mm', 'backbone', 'plain')
            if isinstance(meta.get(key), (dict, str))}


def plain_data(value: Any) -> Any:
    """Return nested data with lists instead of tuples, as JSON has them."""
    if isinstance(value, dict):
        return {key: plain_data(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_data(one) for one in value]
    return value


def config_line(backbone: dict, checkpoint: str, **init_cfg) -> str:
    """Return the line of a config that loads a file, without defaults.

    Args:
        backbone: Arguments of HPViT.
        checkpoint: The file.
        **init_cfg: Further entries of ``init_cfg``.
    """
    from hpvit_mm.models import HPViT
    defaults = inspect.signature(HPViT).parameters
    arguments = {name: value for name, value in backbone.items()
                 if value != plain_data(defaults[name].default)}

    def text(entry: dict) -> str:
        inside = ', '.join(
            f'{name}={text(value) if isinstance(value, dict) else repr(value)}'
            for name, value in entry.items())
        return f'dict({inside})'

    return text(dict(type='hpvit_mm.HPViT', **arguments, init_cfg=dict(
        type='Pretrained', checkpoint=str(checkpoint), **init_cfg)))


# ------------------------------------------------------------------- export


def export(checkpoint: str, out: Optional[str], to: str,
           force: bool = False,
           arch: Union[str, dict, None] = None) -> LoadReport:
    """Write an HPViT's checkpoint in the format of a plain ViT.

    Where nothing was resampled or trained, the encoder's tensors are bit for
    bit those that were converted.

    Args:
        checkpoint: An HPViT's checkpoint, alone or in a larger model's.
        out: The file to write, for 'hf' the folder; None writes nothing.
        to: A key of ``TARGETS``: 'mae', 'timm', 'mmpretrain' or 'hf'.
        force: Whether ``out`` may be replaced. Defaults to False.
        arch: The architecture, for files that do not tell their rotary
            positions. Defaults to None: as the file tells.

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
    record, target = own_record(content), TARGETS[to]
    arch = arch or record.get('backbone', {}).get('arch')
    if arch is None and not plain.structure['abs_pos']:
        raise UserError(f'{checkpoint} has no position embedding and does not '
                        'tell its rotary positions: give --arch.')
    arch = resolve_arch(arch) if arch else {}
    report = LoadReport(plain.source, plain.family, ignored=plain.ignored)
    tensors = _to_mae(plain.tensors, record.get('plain', {}), report)
    if arch.get('rotary'):
        rotary = dict(ROTARY, **arch['rotary'])
        reorder_channels(tensors, arch['num_heads'], rotary['order'],
                         rotary['style'], inverse=True)
    if plain.structure['qkv_bias'] == 'qv':
        tensors = split_bias(tensors)
    if to == 'hf':
        model_type = 'dinov3_vit' if arch.get('rotary') else 'vit'
        if model_type == 'vit' and 'blocks.0.ls1.gamma' in tensors:
            model_type = 'dinov2' if 'reg_token' not in tensors \
                else 'dinov2_with_registers'
        target = HUGGING_FACE.get(model_type, target)
    elif to != 'timm' and any(arch.get(name) not in (None, False, 'gelu')
                              for name in (*HIDDEN, 'attn_norm', 'mlp_norm',
                                           'qk_norm', 'patch_norm')):
        raise UserError(f'{plain.source} is of a network that the format '
                        f'{to!r} has no place for (rotary positions, another '
                        'activation or other norms): use --to timm.')
    for part in target.lacks:
        if any(part in name for name in tensors):
            raise UserError(f'{plain.source} has {part}, which the format '
                            f'{to!r} has no place for: use --to timm.')
    if target.needs_cls and 'cls_token' not in tensors:
        raise UserError(f'{plain.source} has no cls token, which the format '
                        f'{to!r} always has: use --to timm or --to '
                        'mmpretrain.')
    if to == 'timm':
        tensors = _timm_names(tensors, arch)
    elif to == 'hf':
        config = _hugging_face_config(tensors, arch,
                                      record.get('backbone', {}))
        config['model_type'] = model_type
        tensors = _hugging_face_names(tensors, arch, config)
    tensors = {rename(name, target.renames): tensor
               for name, tensor in tensors.items()}
    report.used = list(tensors)
    if out and to == 'hf':
        _write_folder(tensors, config, Path(out))
    elif out:
        write_checkpoint(tensors, out, {}, target.entry)
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
    if rotary:
        renames.append((r'\.ls([12])\.gamma$', r'.gamma_\1'))
    return {rename(name, renames): tensor
            for name, tensor in tensors.items()}


def _hugging_face_names(tensors: Dict[str, Tensor], arch: dict,
                        config: dict) -> Dict[str, Tensor]:
    """Return tensors with the parts that transformers keeps apart."""
    tensors = split_qkv(fuse_qkv(tensors))
    if config['model_type'] == 'dinov3_vit':
        tensors = {name: tensor for name, tensor in tensors.items()
                   if not name.endswith('.attn.key.bias')}
        width = config['hidden_size']
        tensors.setdefault('reg_token', torch.zeros(1, 0, width))
        tensors['mask_token'] = torch.zeros(1, 1, width)
        if arch['act'] == 'swiglu':
            tensors = split_mlp(tensors, 'gate', 'up')
    elif config['model_type'].startswith('dinov2'):
        tensors['mask_token'] = torch.zeros(1, config['hidden_size'])
        if arch['act'] == 'swiglu':
            tensors = {rename(name, ((r'\.mlp\.fc1\.', '.mlp.weights_in.'),
                                     (r'\.mlp\.fc2\.', '.mlp.weights_out.'))
                              ): tensor for name, tensor in tensors.items()}
    return tensors


def _to_mae(tensors: Dict[str, Tensor], record: dict,
            report: LoadReport) -> Dict[str, Tensor]:
    """Return an HPViT's tensors by MAE's names, with one position embedding.
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
    if rows is None:
        rows = int('cls_token' in plain)
    if prefix is not None and rows:
        plain['pos_embed'] = torch.cat(
            [prefix[:, :rows], plain['pos_embed']], dim=1)
    if record.get('dist_token'):
        plain['dist_token'] = plain.pop('reg_token')
    return plain


def _hugging_face_config(tensors: Dict[str, Tensor], arch: dict,
                         backbone: dict) -> dict:
    """Return the config.json of a model of transformers.

    It is a ViTModel, Dinov2Model, Dinov2WithRegistersModel or DINOv3ViTModel.
    """
    width, channels, kernel, _ = tensors['patch_embed.proj.weight'].shape
    gated = arch.get('act') == 'swiglu'
    rotary = arch.get('rotary')
    if arch.get('act') not in (None, 'gelu', 'swiglu') or any(
            arch.get(name) for name in ('attn_norm', 'mlp_norm', 'qk_norm',
                                        'patch_norm', 'post_norm')) or (
            rotary and (arch['abs_pos'] or rotary['coords'] != 'centre'
                        or rotary.get('learned'))):
        raise UserError('no model of transformers that this tool writes '
                        'computes this network: use --to timm.')
    size = backbone.get('img_size', arch.get('img_size'))
    if 'pos_embed' in tensors:
        rows = tensors['pos_embed'].shape[1] - 1
        size = size or math.isqrt(rows) * kernel
        sides = [size] * 2 if isinstance(size, int) else size
        if (sides[0] // kernel) * (sides[1] // kernel) != rows:
            raise UserError(f'the position embedding has {rows} rows, and '
                            'nothing tells their grid: use --to timm.')
    norm_cfg = backbone.get('norm_cfg', arch.get('norm_cfg', {}))
    config = dict(
        hidden_size=width,
        num_hidden_layers=sum(n.endswith('norm1.weight') for n in tensors),
        num_attention_heads=arch.get('num_heads') or default_heads(width),
        image_size=size or 224, patch_size=kernel, num_channels=channels,
        layer_norm_eps=norm_cfg.get('eps', 1e-6))
    scaled = 'blocks.0.ls1.gamma' in tensors
    registers = tensors['reg_token'].shape[1] if 'reg_token' in tensors else 0
    hidden = tensors['blocks.0.mlp.fc2.weight'].shape[1]
    if rotary:
        return dict(
            config, architectures=['DINOv3ViTModel'],
            hidden_act='silu' if gated else 'gelu',
            intermediate_size=hidden, use_gated_mlp=gated,
            num_register_tokens=registers, rope_theta=rotary['base'],
            query_bias='blocks.0.attn.q_bias' in tensors, key_bias=False,
            value_bias='blocks.0.attn.q_bias' in tensors)
    if scaled:
        config.update(
            architectures=['Dinov2Model'],
            mlp_ratio=4 if gated else hidden // width, use_swiglu_ffn=gated,
            hidden_act='gelu', qkv_bias='blocks.0.attn.qkv.bias' in tensors)
        if registers:
            config.update(
                architectures=['Dinov2WithRegistersModel'],
                num_register_tokens=registers)
        return config
    return dict(
        config, architectures=['ViTModel'], hidden_act='gelu',
        intermediate_size=hidden,
        qkv_bias='blocks.0.attn.qkv.bias' in tensors)


def _write_folder(tensors: Dict[str, Tensor], config: dict,
                  folder: Path) -> None:
    part = folder.with_name(f'.{folder.name}.{os.getpid()}.part')
    try:
        write_checkpoint(tensors, part / 'model.safetensors', {})
        (part / 'config.json').write_text(json.dumps(config, indent=2))
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
