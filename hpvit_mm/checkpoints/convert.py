"""Convert checkpoints of plain ViTs to HPViT's."""
import inspect
import json
import re
from pathlib import Path
from typing import Any, List, Optional, Sequence, Tuple, Union

import torch

import hpvit_mm
from hpvit_mm.errors import UserError
from hpvit_mm.models.backbones.archs import (ARCHS, ARGUMENTS, REQUIRED,
                                             SIZES, resolve_arch)
from .adapt import KEPT, fit
from .architecture import arch_of, candidates, heads_of, needs_name
from .plain import PlainViT, read_plain
from .positions import size_of
from .read import read_checkpoint
from .report import LoadReport, check_finite
from .write import check_destination, write_checkpoint


def convert(checkpoint: str, out: Optional[str], patch_size: int = 16,
            patch_stride: int = 4,
            stage_depths: Optional[Sequence[int]] = None,
            pooling: str = 'avg',
            arch: Union[str, dict, None] = None,
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
        pooling: 'conv' or 'avg'. Defaults to 'avg'.
        arch: Name of the architecture, or a dict, as of HPViT. Defaults to
            None: as the file tells.
        img_size: Side of the images to whose grid the positions are
            resampled. Defaults to None: the grid of the checkpoint.
        with_cls_token: Whether to keep the prefix tokens: cls, and registers
            or a distillation token where there are any. Defaults to None: if
            the file tells a named architecture that has them, or is an
            HPViT's that keeps them.
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
    plain = read_plain(content, str(checkpoint), prefix, drop,
                       img_size=img_size)
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
    if plain.is_hpvit and with_cls_token is None:
        with_cls_token = bool(plain.prefix_tokens)
    kwargs = dict(backbone_arguments(plain, with_cls_token, patch_size, arch),
                  patch_stride=patch_stride, pooling=pooling)
    if stage_depths is not None:
        kwargs['stage_depths'] = tuple(stage_depths)
    if img_size is not None:
        kwargs['img_size'] = img_size
    with torch.device('meta'):
        backbone = HPViT(**kwargs)
    kwargs['stage_depths'] = backbone.stage_depths
    tensors, report = fit(backbone, plain, patch_resize, drop)
    check_finite(tensors, plain.source)
    if not heads_of(plain) and not arch:
        report.notes.append(
            'the number of heads is not in the file; '
            f'{backbone.arch["num_heads"]} is assumed: set arch if it is '
            'another')
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
    if not names and not needs_name(plain) and len(candidates(plain)) == 1:
        names = candidates(plain)
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
        # strides of 4 to 32 divide 16 and 32
        patch_size = 16 if flags['patch_size'] % 16 else flags['patch_size']
    if patch_size is not None:
        kwargs['patch_size'] = patch_size
    if plain.grid:
        own = flags['patch_size']
        size = size_of(plain.grid, own)
        if patch_size or size != base.get('img_size', 224):
            # a kernel of 14 is resized to 16 for strides of 4
            kwargs['img_size'] = size_of(plain.grid, patch_size or (
                16 if own % 4 else own))
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
        kwargs['with_cls_token'] = _tokens(plain, 'cls_token') > 0
        kwargs['num_registers'] = _tokens(plain, 'reg_token')
    elif with_cls_token is False:
        kwargs.update(with_cls_token=False, num_registers=0)
    return kwargs


def _tokens(plain: PlainViT, name: str) -> int:
    """Return the number of prefix tokens, also of those kept for export."""
    tensor = plain.tensors.get(name, plain.tensors.get(KEPT + name))
    return 0 if tensor is None else tensor.shape[1]


def named(plain: PlainViT) -> List[str]:
    """Return the named architectures that the file tells for sure."""
    if not {'act', 'rotary'} <= plain.told.keys():
        return []
    heads = arch_of(plain)['num_heads']
    return [name for name in candidates(plain)
            if ARCHS[name]['num_heads'] == heads]


def told_arguments(checkpoint: str, options: dict,
                   img_size: Union[int, Sequence[int], None] = None) -> dict:
    """Return the arguments of the HPViT that a checkpoint was made for.

    Args:
        checkpoint: As ``init_cfg`` takes it.
        options: Further entries of ``init_cfg``.
        img_size: That of the pre-training, for a grid that is not square.
            Defaults to None.

    Raises:
        UserError: If the file does not tell all of the architecture.
    """
    content = read_checkpoint(checkpoint, options.get('sha256'))
    plain = read_plain(content, str(checkpoint), options.get('prefix'),
                       options.get('drop', ()), img_size=img_size)
    if plain.is_hpvit:
        kwargs = own_record(content).get('backbone')
        if not kwargs:
            raise UserError(f'{checkpoint} does not tell the arguments of '
                            'its backbone: give arch, and what else differs '
                            'from the defaults.')
        return kwargs
    if not heads_of(plain):
        raise UserError(
            f'{checkpoint} does not tell its number of heads: give arch, '
            + (f'such as {" or ".join(map(repr, candidates(plain)[:6]))}.'
               if candidates(plain) else 'a dict with num_heads.'))
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
    """Return the record of an HPViT's file, or of save_pretrained's folder.

    Its backbone has ``arch``, by default 'base'.
    """
    config, base = content.get('config'), dict(arch='base')
    if isinstance(config, dict) and isinstance(config.get('backbone'), dict):
        backbone = dict(base, **config['backbone'])  # of save_pretrained
        if backbone.pop('type', None) == 'hpvit_mm.HPViT':
            return dict(backbone=backbone)
    meta = content.get('meta')
    if not isinstance(meta, dict):
        return {}
    text = meta.get('hpvit_mm')  # of a training a dict
    if isinstance(text, str) and text.startswith('{'):  # of safetensors
        try:
            meta = json.loads(text)
        except ValueError:
            return {}
    record = {key: meta[key] for key, kind in (
        ('hpvit_mm', str), ('backbone', dict), ('plain', dict))
        if isinstance(meta.get(key), kind)}
    if 'backbone' in record:
        record['backbone'] = dict(base, **record['backbone'])
    return record


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
