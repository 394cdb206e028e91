"""Adapt the encoder of a plain ViT, or of another HPViT, to an HPViT."""
import re
from typing import Any, Dict, List, Sequence, Tuple

import torch
from torch import Tensor, nn

from hpvit_mm.errors import UserError
from hpvit_mm.models.backbones.archs import ARCHS, ROTARY
from hpvit_mm.models.layers import (AvgPooling, ConvPooling, channel_order,
                                    resample_pos_embed)
from hpvit_mm.utils import shorten
from .architecture import HIDDEN, candidates, same_rotary
from .plain import PlainViT, remedy
from .report import LoadReport
from .resample import adapt_in_channels, resample_patch_kernel

# Prefix of the parts of a plain ViT that a converted file keeps for export.
KEPT = 'plain.'
# Biases that some ViTs are built without.
BIASES = ('attn.qkv.bias', 'attn.q_bias', 'attn.v_bias',
          'patch_embed.proj.bias')


def fit(backbone: nn.Module, plain: PlainViT, patch_resize: str = 'pinv',
        drop: Sequence[str] = ()) -> Tuple[Dict[str, Tensor], LoadReport]:
    """Adapt an encoder to an HPViT.

    Args:
        backbone: The HPViT; its parameters need no values.
        plain: The encoder.
        patch_resize: How the kernel of the patch embedding is resized:
            'pinv', 'enlarge', 'bilinear' or 'pad'. Defaults to 'pinv'.
        drop: Parts that may be omitted, as in ``read_plain``.

    Returns:
        Tensors by the backbone's names, and the report.

    Raises:
        UserError: If a tensor of the backbone is missing or misshapen, or if
            the blocks would compute something else.
    """
    report = LoadReport(plain.source, plain.family,
                        ignored=dict(plain.ignored))
    own = backbone.state_dict()
    tensors = dict(plain.tensors)
    if plain.is_hpvit:
        tensors = _regroup(tensors, backbone, report)
        _check_poolings(tensors, backbone, plain.source)
    _check_size(plain, backbone)
    _check_flags(plain, backbone, drop)
    _check_parts(plain, backbone)
    _fit_biases(tensors, own, plain, backbone)
    if not plain.is_hpvit and backbone.rotary:
        rotary = dict(ROTARY, **backbone.arch['rotary'])
        reorder_channels(tensors, backbone.arch['num_heads'],
                         rotary['order'], rotary['style'])
    if backbone.learns_places and 'rotary.freqs' in tensors:
        # of the blocks up to the last output
        tensors['rotary.freqs'] = tensors['rotary.freqs'][
            :, :len(backbone.blocks)].clone()
    _place_last_norm(tensors, backbone, report)
    with torch.no_grad():
        _fit_patches(tensors, own, patch_resize, report)
        _fit_position(tensors, backbone, plain, report)
    _fit_prefix(tensors, own, plain)
    _fill(tensors, own, report)
    _check_complete(tensors, own, plain)
    report.used = [n for n in own if n in tensors and n not in report.new]
    report.ignored.update({
        name: _why_ignored(name) for name in tensors if name not in own})
    _note_eps(plain, backbone, report)
    return {name: tensors[name] for name in own if name in tensors}, report


def _check_poolings(tensors: Dict[str, Tensor], backbone: nn.Module,
                    source: str) -> None:
    """Refuse trained convolutions where the backbone averages."""
    for s, pool in enumerate(backbone.pools):
        weight = tensors.get(f'pools.{s}.weight')
        if weight is None or not isinstance(pool, AvgPooling):
            continue
        start = ConvPooling(len(weight)).to(weight.dtype).state_dict()
        if any(not torch.equal(tensors.get(f'pools.{s}.{name}', value), value)
               for name, value in start.items()):
            raise UserError(
                f'{source} has a trained pooling, pools.{s}, where the '
                "backbone averages: set pooling='conv'. Nothing was loaded.")


def _outputs(tensors: Dict[str, Tensor]) -> List[str]:
    """Outputs of an HPViT, by the names of their norms: '3' or 'block11'."""
    return [name.split('.')[1] for name in tensors
            if re.fullmatch(r'norms\.\w+\.weight', name)]


def used_stages(tensors: Dict[str, Tensor]) -> int:
    """Return the stages of an HPViT up to its last output.

    It is 0 where the outputs are those of blocks.
    """
    return 1 + max((int(output) for output in _outputs(tensors)
                    if output.isdigit()), default=-1)


def last_norm(tensors: Dict[str, Tensor]) -> str:
    """Return the name of the last norm of an HPViT, with its dot."""
    last = max(_outputs(tensors),
               key=lambda output: int(output.replace('block', '')))
    return f'norms.{last}.'


def _regroup(tensors: Dict[str, Tensor], backbone: nn.Module,
             report: LoadReport) -> Dict[str, Tensor]:
    """Return the tensors of an HPViT, regrouped into the backbone's stages."""
    stages = used_stages(tensors)
    kept = {n[len(KEPT):]: t for n, t in tensors.items() if n.startswith(KEPT)}
    tensors = {n: t for n, t in tensors.items() if not n.startswith(KEPT)}
    wanted = 0 if backbone.out_blocks else len(backbone.pools) + 1
    if stages != wanted:
        report.family += f' of {stages} stage{"s" * (stages > 1)}' \
            if stages else ' with outputs of blocks'
        # Its last norm is that of all blocks; the others, and the poolings,
        # belong to outputs and stages that do not exist here.
        last = last_norm(tensors)
        for name in list(tensors):
            if name.startswith(last):
                tensors[name.replace(last, 'norm.')] = tensors.pop(name)
            elif re.match(r'(norms|pools)\.', name):
                report.ignored[name] = 'of other stages'
                del tensors[name]
    wants_prefix = backbone.num_prefix and not any(
        name in tensors for name in ('cls_token', 'reg_token'))
    for name, tensor in kept.items():
        if wants_prefix or 'norm.' in name:
            tensors.setdefault(name, tensor)
    return tensors


def _check_size(plain: PlainViT, backbone: nn.Module) -> None:
    """Refuse a ViT of another size, the commonest mistake, by its name."""
    depth = sum(backbone.stage_depths)
    built = len(backbone.blocks)
    if plain.embed_dims != backbone.embed_dims or (
            plain.num_layers not in (depth, built)):
        raise UserError(
            f'{plain.source} is a {plain.size_name}, but the backbone has '
            f'{depth} blocks of width {backbone.embed_dims}: set '
            f'{_suggestion(plain)} (and stage_depths, if it is set). Nothing '
            'was loaded.')
    heads = backbone.blocks[0].attn.num_heads if built else None
    if plain.num_heads and heads and plain.num_heads != heads:
        raise UserError(
            f'{plain.source} has {plain.num_heads} attention heads, but the '
            f'backbone has {heads}: set num_heads of arch. Nothing was '
            'loaded.')


def _check_parts(plain: PlainViT, backbone: nn.Module) -> None:
    """Refuse a ViT with parts that the backbone lacks, or without its own."""
    for name, argument, values in (
            ('ls1.gamma', 'layer_scale_init_value', ('0', '1e-5')),
            ('norm_pre', 'pre_norm', ('False', 'True'))):
        theirs = any(name in one for one in plain.tensors)
        ours = any(name in one for one in backbone.state_dict())
        if theirs != ours and (theirs or plain.num_layers):
            what = f'{name}, which the backbone lacks' if theirs else \
                f'no {name}, which the backbone has'
            raise UserError(f'{plain.source} has {what}: set {argument}='
                            f'{values[theirs]} in the backbone. Nothing was '
                            'loaded.')


def _check_flags(plain: PlainViT, backbone: nn.Module,
                 drop: Sequence[str]) -> None:
    """Refuse what would compute something else, though all tensors fit."""
    arch, flags = backbone.arch, plain.structure
    nothing = 'Nothing was loaded'
    for name, value in plain.told.items():
        if name not in HIDDEN or (
                name == 'rotary' and 'rotary_position' in drop):
            continue
        own = arch[name] or HIDDEN[name]
        if not (same_rotary(value, own) if name == 'rotary'
                else value == own):
            raise UserError(
                f'{plain.source} is of a network with '
                f'{_described(name, value)}, but the backbone has '
                f'{_described(name, own)}: set {_suggestion(plain)}. '
                f'{nothing}.')
    if plain.is_hpvit or not plain.num_layers:
        return
    lacks = not flags['abs_pos']
    relative = any('relative position' in why
                   for why in plain.ignored.values())
    if lacks and not relative and not arch['rotary'] \
            and 'rotary_position' not in drop:
        raise UserError(
            f'{plain.source} has neither a position embedding nor relative '
            'positions, as files of rotary ViTs (DINOv3), and the backbone '
            f'has no rotary positions: set {_suggestion(plain)}; '
            f'{remedy("rotary_position")}. {nothing}.')
    tables = [name for name, why in plain.ignored.items()
              if 'rotary positions' in why]
    if tables and not arch['rotary'] and 'rotary_position' not in drop:
        raise UserError(
            f'{plain.source} has rotary positions ({tables[0]}), which the '
            f'backbone lacks: set {_suggestion(plain)}; '
            f'{remedy("rotary_position")}. {nothing}.')
    if lacks and arch['rotary'] and arch['abs_pos']:
        raise UserError(
            f'{plain.source} has no position embedding, but the backbone has '
            f'one beside its rotary positions: set {_suggestion(plain)}. '
            f'{nothing}.')
    if not lacks and not arch['abs_pos']:
        raise UserError(
            f'{plain.source} has a position embedding, which the backbone '
            f'lacks: set {_suggestion(plain)}. {nothing}.')
    if flags['act'] != ('swiglu' if arch['act'] == 'swiglu' else
                        'not gated'):
        raise UserError(
            f'{plain.source} has {"no " * (arch["act"] == "swiglu")}SwiGLU in '
            f'its MLPs, but the backbone has act={arch["act"] or "gelu"!r}: '
            f'set {_suggestion(plain)}. {nothing}.')
    for name in ('attn_norm', 'mlp_norm', 'qk_norm', 'patch_norm', 'bias'):
        if flags[name] != arch[name]:
            raise UserError(
                f'{plain.source} has {name}={flags[name]}, but the backbone '
                f'has {arch[name]}: set {_suggestion(plain)}. {nothing}.')
    if 'act' in plain.told or arch['act'] or 'rotary_position' in drop:
        return
    # timm's name says SigLIP or OpenAI's CLIP, whose weights were trained
    # with another activation than timm computes
    named = 'post_norm' in plain.told
    names = plain.tensors.keys() | plain.ignored.keys()
    pooling = any(name.startswith('attn_pool.') for name in names)
    no_norm = not any(re.match(r'(fc_)?norm\.', name) for name in names)
    if flags['pre_norm'] and not arch['rotary'] and (
            'rotary' not in plain.told) and (
            pooling or no_norm and plain.family != 'OpenMMLab ViT'):
        raise UserError(
            f'{plain.source} has a norm before the blocks and '
            f'{"an attention pooling" if pooling else "none behind them"}, '
            'like PE, which has rotary positions: set '
            f'{_suggestion(plain)}; {remedy("rotary_position")}. {nothing}.')
    if named or flags['pre_norm'] or pooling and not plain.prefix_tokens:
        like = "CLIP: OpenAI's weights have QuickGELU, most of OpenCLIP GELU" \
            if flags['pre_norm'] else \
            'SigLIP, which has the tanh approximation of GELU'
        raise UserError(
            f'{plain.source} looks like {like}, and no tensor tells the '
            f'activation: set {_suggestion(plain)}, or act of arch. '
            f'{nothing}.')


def _described(name: str, value: Any) -> str:
    """Return a flag of an architecture, in words."""
    if name != 'rotary':
        return f'{name}={value}'
    return 'no rotary positions' if value is None else \
        f'rotary positions ({", ".join(f"{k}={v}" for k, v in value.items())})'


def _suggestion(plain: PlainViT) -> str:
    """Return the architectures that a file may have, as an argument."""
    if plain.is_hpvit:
        return 'arch to the one it was trained with'
    found = []
    for name in candidates(plain):  # not twice the same network
        if all(ARCHS[name] != ARCHS[other] for other in found):
            found.append(name)
    if found:
        return ' or '.join(f'arch={name!r}' for name in found[:4])
    return ('arch to the one of the checkpoint (tools/inspect_checkpoint.py '
            'shows the nearest)')


def _fit_biases(tensors: Dict[str, Tensor], own: Dict[str, Tensor],
                plain: PlainViT, backbone: nn.Module) -> None:
    """Split biases where the backbone has none for the keys.

    A bias of the keys changes nothing, unless they are normalised or rotated
    behind it.
    """
    for name in list(tensors):
        block = name[:-len('qkv.bias')]
        if not name.endswith('.attn.qkv.bias') or f'{block}q_bias' not in own:
            continue
        q, k, v = tensors.pop(name).chunk(3)
        if (backbone.rotary or backbone.arch['qk_norm']) and k.any():
            raise UserError(
                f'{plain.source} has a bias of the keys ({name}), which the '
                'backbone lacks: set qkv_bias=True. Nothing was loaded.')
        tensors.update({f'{block}q_bias': q, f'{block}v_bias': v})


def reorder_channels(tensors: Dict[str, Tensor], num_heads: int, order: str,
                     style: str, inverse: bool = False) -> None:
    """Order the channels of queries and keys as HPViT rotates them.

    Args:
        tensors: Tensors by MAE's names; they are replaced.
        num_heads: Number of heads.
        order, style: As :func:`channel_order` takes them.
        inverse: Whether to go from HPViT's order to the other one.
    """
    for name, tensor in tensors.items():
        part = re.search(r'\.attn\.(qkv\.weight|qkv\.bias|q_bias|'
                         r'[qk]_norm\.(?:weight|bias))$', name)
        if not part:
            continue
        # A norm is that of all heads.
        count = 1 if 'norm' in part[1] else num_heads
        dims = len(tensor) // (count * (3 if 'qkv' in part[1] else 1))
        channels = channel_order(dims, order, style)
        if inverse:
            channels = channels.argsort()
        # (3 * heads * d, ...) -> (3, heads, d, ...), and back
        heads = tensor.unflatten(0, (-1, count, dims)).clone()
        heads[:2] = heads[:2, :, channels]
        tensors[name] = heads.flatten(0, 2)


def _place_last_norm(tensors: Dict[str, Tensor], backbone: nn.Module,
                     report: LoadReport) -> None:
    """Use the plain ViT's last norm at the output behind all blocks.

    Averaged features prefer ``fc_norm``, maps prefer ``norm``; of a file with
    only one of them, it is that one. The norms of the outputs of blocks all
    start from it, as in DINOv2's ``get_intermediate_layers``.
    """
    order = ('norm', 'fc_norm')
    if backbone.out_type == 'avg_featmap':
        order = order[::-1]
    source = next((n for n in order if f'{n}.weight' in tensors), None)
    whole = len(backbone.blocks) == sum(backbone.stage_depths)
    last = list(backbone.norms)[-1]
    for output in backbone.norms if backbone.out_blocks else [last]:
        name = f'norms.{output}'
        if not source or f'{name}.weight' in tensors:
            continue
        is_last = whole and output == last
        for part in ('weight', 'bias'):
            if f'{source}.{part}' not in tensors:
                continue
            if is_last:
                tensors[f'{name}.{part}'] = tensors.pop(f'{source}.{part}')
            elif backbone.out_blocks:
                tensors[f'{name}.{part}'] = tensors[f'{source}.{part}']
                report.new[f'{name}.{part}'] = 'starts as the last norm'


def _fit_patches(tensors: Dict[str, Tensor], own: Dict[str, Tensor],
                 patch_resize: str, report: LoadReport) -> None:
    name = 'patch_embed.proj.weight'
    old, new = tensors[name].shape, own[name].shape
    if old[1] != new[1]:
        tensors[name] = adapt_in_channels(tensors[name], new[1])
        report.resampled['in_channels'] = ((old[1], ), (new[1], ))
    tensors[name] = resample_patch_kernel(tensors[name], new[2:], patch_resize)
    if old[2:] != new[2:]:
        report.resampled[f'{name} ({patch_resize})'] = (
            tuple(old[2:]), tuple(new[2:]))


def _fit_position(tensors: Dict[str, Tensor], backbone: nn.Module,
                  plain: PlainViT, report: LoadReport) -> None:
    """Resample the position embedding to the backbone's grid."""
    grid = tuple(backbone.pos_grid)
    if not backbone.arch['abs_pos']:
        return
    if 'pos_embed' not in tensors:
        tensors['pos_embed'] = tensors['patch_embed.proj.weight'].new_zeros(
            1, grid[0] * grid[1], backbone.embed_dims)
        report.new['pos_embed'] = 'zeros, the file has no positions'
        return
    position, source = tensors['pos_embed'], plain.grid
    if source is None:
        raise UserError(
            f'pos_embed of {plain.source} has {position.shape[1]} rows, which '
            'is no square grid: set img_size and patch_size to those of its '
            'pre-training.')
    if tuple(source) != grid:
        report.resampled['pos_embed'] = (tuple(source), grid)
        report.notes.append(
            'set img_size=' + str(tuple(
                side * backbone.patch_size for side in source))
            + " to keep the file's grid")
        # (1, side * side, C) -> (1, h, w, C) -> (1, h * w, C)
        tensors['pos_embed'] = resample_pos_embed(
            position, tuple(source), grid).flatten(1, 2)


def _fit_prefix(tensors: Dict[str, Tensor], own: Dict[str, Tensor],
                plain: PlainViT) -> None:
    """Select the positions of the prefix tokens that the backbone keeps."""
    registers = tensors.get('reg_token')
    if 'cls_token' in own and 'reg_token' not in own \
            and registers is not None:
        what = 'a distillation token' if plain.has_dist_token else \
            f'{registers.shape[1]} registers'
        raise UserError(
            f'{plain.source} has {what}, and the backbone keeps only its cls '
            f'token: set num_registers={registers.shape[1]}, or '
            'with_cls_token=False to keep neither. Nothing was loaded.')
    if 'prefix_pos_embed' not in own:
        return
    counts = {name: tensors[name].shape[1]
              for name in ('cls_token', 'reg_token') if name in tensors}
    position = tensors.get('prefix_pos_embed')
    if position is None:
        position = torch.zeros(1, sum(counts.values()),
                               own['prefix_pos_embed'].shape[2])
    parts = dict(zip(counts, position.split(list(counts.values()), dim=1))) \
        if position.shape[1] == sum(counts.values()) else {}
    wanted = [name for name in ('cls_token', 'reg_token') if name in own]
    for name, argument in (('cls_token', 'with_cls_token=True'),
                           ('reg_token', 'num_registers')):
        if name in wanted and name not in parts:
            raise UserError(
                f'{plain.source} has no {name}, which the backbone has: omit '
                f'{argument}. Nothing was loaded.')
    tensors['prefix_pos_embed'] = torch.cat(
        [parts[name] for name in wanted], dim=1)


def _fill(tensors: Dict[str, Tensor], own: Dict[str, Tensor],
          report: LoadReport) -> None:
    """Report new poolings and output norms, and set absent biases to zero.

    A bias may be absent in all blocks, but not in one of them.
    """
    absent = tuple(bias for bias in BIASES
                   if not any(name.endswith(bias) for name in tensors))
    for name, tensor in own.items():
        if name in tensors:
            continue
        if name.startswith('pools.'):
            report.new[name] = 'starts as the average'
        elif name.startswith('norms.'):
            report.new[name] = 'starts as plain normalisation'
        elif name.endswith(absent):
            tensors[name] = torch.zeros(tensor.shape)
            report.new[name] = 'zeros, the file has no such bias'


def _check_complete(tensors: Dict[str, Tensor], own: Dict[str, Tensor],
                    plain: PlainViT) -> None:
    missing = [name for name in own if name not in tensors
               and not name.startswith(('pools.', 'norms.'))]
    misshapen = [name for name in own if name in tensors
                 and tensors[name].shape != own[name].shape]
    problems = []
    if misshapen:
        shapes = [f'{name} is {tuple(tensors[name].shape)} and should be '
                  f'{tuple(own[name].shape)}' for name in misshapen]
        problems.append(f'{len(shapes)} tensors have another shape '
                        f'({shorten(shapes, 3)})')
    if missing:
        problems.append(
            f'{len(missing)} tensors are missing ({shorten(missing, 3)})')
    if problems:
        remedy = ('the file may be truncated or of another architecture; '
                  'check that arch and norm_cfg are those of the checkpoint')
        if 'blocks.0.mlp.fc1.weight' in misshapen:
            channels = len(tensors['blocks.0.mlp.fc1.weight'])
            remedy = (f'set feedforward_channels={channels} of arch to that '
                      'of the checkpoint')
        if 'reg_token' in misshapen:
            remedy = f'set num_registers={tensors["reg_token"].shape[1]}'
        raise UserError(f'{plain.source} does not fit the backbone: '
                        f'{" and ".join(problems)}. Nothing was loaded: '
                        f'{remedy}.')
    built = sum(bool(re.fullmatch(r'blocks\.\d+\.norm1\.weight', name))
                for name in own)
    lost = [name for name in tensors if name not in own
            and re.match(r'blocks\.\d+\..*bias$', name)
            and int(name.split('.')[1]) < built]
    if lost:
        raise UserError(
            f'{plain.source} has biases that the backbone lacks '
            f'({shorten(lost, 3)}): set qkv_bias=True. Nothing was loaded.')


def _why_ignored(name: str) -> str:
    if name in ('cls_token', 'reg_token', 'prefix_pos_embed'):
        return 'prefix token, which the backbone does not keep'
    if name.startswith(('norm.', 'fc_norm.', 'norms.')):
        return 'norm of an output that the backbone does not have'
    if name.startswith('pools.'):
        return 'pooling that the backbone does not have'
    if name.startswith('blocks.'):
        return 'block behind the last output'
    return 'not in the backbone'


def _note_eps(plain: PlainViT, backbone: nn.Module,
              report: LoadReport) -> None:
    eps = plain.told.get('norm_cfg', {}).get('eps')
    norm = next((m for m in backbone.modules()
                 if isinstance(m, nn.LayerNorm)), None)
    if eps and norm and abs(eps - norm.eps) > 1e-3 * norm.eps:
        report.notes.append(
            f'its norms have eps {eps:g}, the backbone has {norm.eps:g}: for '
            f"the same features set norm_cfg=dict(type='LN', eps={eps:g})")
