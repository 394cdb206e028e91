"""Plain checkpoints to HPViT's, and back."""
import inspect
import json
import math
import os
import re
import shutil
from pathlib import Path
from typing import Dict, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

import hpvit_mm
from hpvit_mm.errors import UserError
from .layouts import OUT_RENAMES
from .plain import SIZES, PlainViT, read_plain
from .pretrained import KEPT, LoadReport, fit, used_stages
from .read import read_checkpoint
from .write import check_destination, write_checkpoint

TARGETS = ('mae', 'timm', 'mmpretrain', 'hf')


def convert(checkpoint: str, out: str, arch: Optional[str] = None,
            patch_size: int = 16, patch_stride: int = 4,
            stage_depths: Optional[Sequence[int]] = None,
            pooling: str = 'conv',
            img_size: Union[int, Sequence[int], None] = None,
            with_cls_token: bool = False, patch_resize: str = 'pinv',
            prefix: Optional[str] = None, drop: Sequence[str] = (),
            sha256: Optional[str] = None, format: Optional[str] = None,
            dry_run: bool = False, force: bool = False
            ) -> Tuple[LoadReport, dict]:
    """Write a plain ViT's checkpoint as an HPViT's.

    What the HPViT has no place for, the prefix tokens and the last norm, is
    kept in the file under 'plain.', so that :func:`export` can return it.

    Args:
        checkpoint: A file, an address, or a folder of Hugging Face.
        out: The file to write.
        arch: The size that is expected. Defaults to None: any.
        patch_size: Side of HPViT's patches. Defaults to 16.
        patch_stride: Stride of the first stage. Defaults to 4.
        stage_depths: Blocks per stage. Defaults to HPViT's for that depth.
        pooling: 'conv' or 'avg'. Defaults to 'conv'.
        img_size: Side of the images to whose grid the positions are
            resampled. Defaults to None: the grid of the checkpoint.
        with_cls_token: Whether to keep the prefix tokens: cls, and registers
            or a distillation token where there are any. Defaults to False.
        patch_resize, prefix, drop, sha256: As for
            :func:`~hpvit_mm.checkpoints.fit_pretrained`.
        format: 'pth' or 'safetensors'. Defaults to what ``out`` ends in.
        dry_run: Whether to write nothing. Defaults to False.
        force: Whether ``out`` may be replaced. Defaults to False.

    Returns:
        The report, and the arguments of the backbone that the file fits.

    Raises:
        UserError: If the checkpoint cannot be read or does not fit, or if
            ``out`` cannot be written.
    """
    from hpvit_mm.models import HPViT
    if not dry_run:
        check_destination(out, force)
    content = read_checkpoint(checkpoint, sha256)
    plain = read_plain(content, str(checkpoint), prefix, drop)
    if plain.layout == 'HPViT' and stage_depths is None:
        return _copy(plain, content, out, format, dry_run)
    kwargs = backbone_arguments(plain, with_cls_token, patch_size)
    _check_arch(plain, arch)
    kwargs.update(patch_size=patch_size, patch_stride=patch_stride,
                  pooling=pooling)
    if stage_depths is not None:
        kwargs['stage_depths'] = tuple(stage_depths)
    if img_size is not None:
        kwargs['img_size'] = img_size
    with torch.device('meta'):
        backbone = HPViT(**kwargs)
    kwargs['stage_depths'] = backbone.stage_depths
    tensors, report = fit(backbone, plain, patch_resize)
    tensors.update(_initial(backbone, report.new, tensors))
    ordered = {name: tensors[name] for name in backbone.state_dict()}
    meta = dict(_meta(plain, own_record(content)),
                backbone=plain_data(kwargs))
    for name, tensor in plain.tensors.items():
        if name in report.ignored and re.match(
                r'(cls_token|reg_token|prefix_pos_embed|(fc_)?norm\.)', name):
            ordered[KEPT + name] = tensor
            report.ignored[name] += '; kept in the file for the way back'
        elif name.startswith(KEPT) and name[len(KEPT):] not in ordered:
            ordered[name] = tensor
    if not dry_run:
        write_checkpoint(ordered, out, meta, format=format)
    return report, meta['backbone']


def backbone_arguments(plain: PlainViT, with_cls_token: bool = False,
                       patch_size: int = 16) -> dict:
    """The arguments of an HPViT that the tensors tell."""
    tensors = plain.tensors
    kwargs = dict(arch=_arch(plain), in_channels=tensors[
        'patch_embed.proj.weight'].shape[1])
    grid = plain.grid or (14, 14)
    size = tuple(side * patch_size for side in grid)
    kwargs['img_size'] = size[0] if size[0] == size[1] else size
    if not any(name.endswith('attn.qkv.bias') for name in tensors):
        kwargs['qkv_bias'] = False
    gamma = tensors.get('blocks.0.ls1.gamma')
    if gamma is not None:
        kwargs['layer_scale_init_value'] = 1e-5
    if 'norm_pre.weight' in tensors:
        kwargs['pre_norm'] = True
    eps = plain.config.get('layer_norm_eps')
    if eps and eps != 1e-6:
        kwargs['norm_cfg'] = dict(type='LN', eps=eps)
    if with_cls_token:
        kwargs['with_cls_token'] = 'cls_token' in tensors
        if 'reg_token' in tensors:
            kwargs['num_registers'] = tensors['reg_token'].shape[1]
    return kwargs


def _arch(plain: PlainViT) -> Union[str, dict]:
    """The name of the architecture, or its dict."""
    name = SIZES.get((plain.embed_dims, plain.num_layers))
    channels = plain.feedforward_channels or 4 * plain.embed_dims
    heads = plain.num_heads or default_heads(plain.embed_dims)
    if name and channels == 4 * plain.embed_dims and heads == default_heads(
            plain.embed_dims):
        return name
    return dict(embed_dims=plain.embed_dims, num_layers=plain.num_layers,
                num_heads=heads, feedforward_channels=channels)


def default_heads(embed_dims: int) -> int:
    """64 channels per head are usual, 80 in ViT-H; tensors do not tell."""
    if embed_dims == 1280:
        return 16
    return embed_dims // 64 if embed_dims % 64 == 0 else 1


def _check_arch(plain: PlainViT, arch: Optional[str]) -> None:
    from hpvit_mm.models.backbones.hpvit import ARCHS
    if arch is None:
        return
    wanted = ARCHS[arch]
    if (plain.embed_dims, plain.num_layers) != (wanted['embed_dims'],
                                                wanted['num_layers']):
        raise UserError(f'{plain.source} is a {plain.size_name}, not the '
                        f'{arch} that --arch asks for: correct one of them.')


def _initial(backbone, names: Dict[str, str],
             given: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """The first values of parts that no plain ViT has."""
    for module in (*backbone.pools, *backbone.norms.values()):
        if any(True for _ in module.parameters()):
            module.to_empty(device='cpu')
            module.reset_parameters()
    state = backbone.state_dict()
    return {name: state[name] for name in names if name not in given}


def _meta(plain: PlainViT, record: dict) -> dict:
    """What the tensors do not tell, and the way back needs."""
    if 'plain' in record:  # an HPViT's file, regrouped
        return dict(hpvit_mm=hpvit_mm.__version__, plain=record['plain'])
    norm = next((n for n in ('norm', 'fc_norm')
                 if f'{n}.weight' in plain.tensors), None)
    return dict(
        hpvit_mm=hpvit_mm.__version__,
        plain=dict(layout=plain.layout, source=Path(plain.source).name,
                   position_rows=plain.position_rows, last_norm=norm,
                   dist_token=plain.has_dist_token))


def plain_data(value):
    """Tuples as lists, so that JSON and torch tell the same."""
    if isinstance(value, dict):
        return {key: plain_data(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_data(one) for one in value]
    return value


def config_line(backbone: dict, checkpoint: str, **init_cfg) -> str:
    """The backbone of a config that loads a file, without what is default.

    Args:
        backbone: Arguments of HPViT.
        checkpoint: The file.
        **init_cfg: Further entries of ``init_cfg``.
    """
    from hpvit_mm.models import HPViT
    defaults = inspect.signature(HPViT).parameters
    arguments = {name: value for name, value in backbone.items()
                 if value != plain_data(defaults[name].default)}
    entries = dict(type='Pretrained', checkpoint=str(checkpoint), **init_cfg)
    arguments['init_cfg'] = entries

    def text(entry):
        inside = ', '.join(
            f'{name}={text(value) if isinstance(value, dict) else repr(value)}'
            for name, value in entry.items())
        return f'dict({inside})'

    return text(dict(type='hpvit_mm.HPViT', **arguments))


def _copy(plain: PlainViT, content: dict, out: str, format: Optional[str],
          dry_run: bool) -> Tuple[LoadReport, dict]:
    """The backbone of an HPViT's checkpoint, as it is."""
    report = LoadReport(plain.source, 'HPViT', used=list(plain.tensors),
                        ignored=plain.ignored)
    record = own_record(content)
    if not dry_run:
        write_checkpoint(plain.tensors, out, dict(
            record, hpvit_mm=hpvit_mm.__version__), format=format)
    return report, record.get('backbone', {})


def own_record(content: dict) -> dict:
    """What :func:`convert` has written beside the tensors, checked."""
    meta = content.get('meta')
    if not isinstance(meta, dict):
        return {}
    if str(meta.get('hpvit_mm')).startswith('{'):  # of a safetensors file
        try:
            meta = json.loads(meta['hpvit_mm'])
        except ValueError:
            return {}
    return {key: meta[key] for key in ('hpvit_mm', 'backbone', 'plain')
            if isinstance(meta.get(key), (dict, str))}


# ------------------------------------------------------------- the way back


def export(checkpoint: str, out: str, to: str, force: bool = False,
           dry_run: bool = False, format: Optional[str] = None
           ) -> LoadReport:
    """Write an HPViT's checkpoint in the layout of a plain ViT.

    Where nothing was resampled and nothing trained, the encoder's tensors are
    those that were read, bit for bit.

    Args:
        checkpoint: An HPViT's checkpoint, alone or in a larger model's.
        out: The file to write; for 'hf' a folder.
        to: 'mae', 'timm', 'mmpretrain' or 'hf'.
        force: Whether ``out`` may be replaced. Defaults to False.
        dry_run: Whether to write nothing. Defaults to False.
        format: 'pth' or 'safetensors'. Defaults to what ``out`` ends in.

    Returns:
        The report.

    Raises:
        UserError: If the checkpoint is not an HPViT's, or has parts that the
            layout has no place for.
    """
    if not dry_run:
        check_destination(out, force)
    content = read_checkpoint(checkpoint)
    plain = read_plain(content, str(checkpoint))
    if plain.layout != 'HPViT':
        raise UserError(f'{checkpoint} is of the layout {plain.layout}: '
                        '--to takes checkpoints of HPViT.')
    record = own_record(content)
    report = LoadReport(plain.source, 'HPViT', ignored=plain.ignored)
    tensors = _to_mae(plain.tensors, record.get('plain', {}), report)
    heads = _heads(record.get('backbone', {}), tensors)
    _check_target(tensors, to, plain.source)
    if to == 'hf':
        tensors = split_qkv(tensors)
    for pattern, replacement in OUT_RENAMES[to]:
        tensors = {re.sub(pattern, replacement, name): tensor
                   for name, tensor in tensors.items()}
    report.used = list(tensors)
    if dry_run:
        return report
    if to == 'hf':
        _write_hugging_face(tensors, Path(out), heads, record)
    else:
        entry = dict(mae='model', timm='', mmpretrain='state_dict')[to]
        write_checkpoint(tensors, out, {}, entry, format)
    return report


def _to_mae(tensors: Dict[str, Tensor], record: dict,
            report: LoadReport) -> Dict[str, Tensor]:
    """An HPViT's tensors by MAE's names, with one position embedding."""
    last = f'norms.{used_stages(tensors) - 1}.'
    plain = {}
    for name, tensor in tensors.items():
        if name.startswith(last):
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


def _check_target(tensors: Dict[str, Tensor], to: str, source: str) -> None:
    """Whether a layout has a place for everything, and gets what it needs."""
    lacks = dict(
        mae=('ls1.gamma', 'reg_token', 'norm_pre'), timm=(),
        mmpretrain=('reg_token', ),
        hf=('ls1.gamma', 'reg_token', 'dist_token', 'norm_pre'))[to]
    for part in lacks:
        if any(part in name for name in tensors):
            raise UserError(f'{source} has {part}, which the layout {to!r} '
                            "has no place for: use --to timm.")
    if to in ('mae', 'hf') and 'cls_token' not in tensors:
        raise UserError(f'{source} has no cls token, which the layout {to!r} '
                        'always has: use --to timm or --to mmpretrain.')


def _heads(backbone: dict, tensors: Dict[str, Tensor]) -> int:
    arch = backbone.get('arch')
    if isinstance(arch, dict) and 'num_heads' in arch:
        return arch['num_heads']
    return default_heads(tensors['patch_embed.proj.weight'].shape[0])


def _write_hugging_face(tensors: Dict[str, Tensor], folder: Path, heads: int,
                        record: dict) -> None:
    """A folder that transformers' ViTModel.from_pretrained reads."""
    weight = tensors['embeddings.patch_embeddings.projection.weight']
    kernel, channels = weight.shape[2], weight.shape[1]
    layers = [name for name in tensors
              if name.endswith('layernorm_before.bias')]
    hidden = tensors['encoder.layer.0.intermediate.dense.weight'].shape[0]
    rows = tensors['embeddings.position_embeddings'].shape[1] - 1
    backbone = record.get('backbone', {})
    norm = backbone.get('norm_cfg', {})
    size = backbone.get('img_size', math.isqrt(rows) * kernel)
    sides = [size] * 2 if isinstance(size, int) else size
    if (sides[0] // kernel) * (sides[1] // kernel) != rows:
        raise UserError(f'the position embedding has {rows} rows, and nothing '
                        'tells their grid: use --to timm.')
    config = dict(
        architectures=['ViTModel'], model_type='vit', hidden_act='gelu',
        hidden_size=weight.shape[0], num_hidden_layers=len(layers),
        num_attention_heads=heads, intermediate_size=hidden,
        image_size=size, patch_size=kernel,
        num_channels=channels, layer_norm_eps=norm.get('eps', 1e-6),
        qkv_bias=any(name.endswith('query.bias') for name in tensors))
    part = folder.with_name(f'.{folder.name}.{os.getpid()}.part')
    try:
        write_checkpoint(tensors, part / 'model.safetensors', {})
        (part / 'config.json').write_text(json.dumps(config, indent=2))
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def split_qkv(tensors: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Queries, keys and values apart, as Hugging Face has them."""
    found = {}
    for name, tensor in tensors.items():
        if '.attn.qkv.' not in name:
            found[name] = tensor
            continue
        for part, one in zip(('query', 'key', 'value'), tensor.chunk(3)):
            found[name.replace('.qkv.', f'.{part}.')] = one
    return found
