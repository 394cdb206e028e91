"""Pre-trained weights of a plain ViT, or of an HPViT, into a backbone."""
import re
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

import torch
from torch import Tensor, nn

from hpvit_mm.errors import UserError
from hpvit_mm.models.layers.position import resample_pos_embed
from hpvit_mm.utils import shorten
from .plain import PlainViT
from .read import read_checkpoint
from .resample import adapt_in_channels, resample_patch_kernel

# Parts of a plain ViT that a converted file keeps for the way back.
KEPT = 'plain.'
# Biases that some ViTs are built without.
BIASES = ('attn.qkv.bias', 'patch_embed.proj.bias')


@dataclass
class LoadReport:
    """What became of the tensors of a checkpoint.

    Attributes:
        source: The file or address.
        layout: What layout the file has.
        used: Names in the backbone of the tensors that were taken.
        resampled: Name -> (old size, new size) of those that had to change.
        new: Name in the backbone -> how it starts, of what the file lacks.
        ignored: Name in the file -> why it was not used.
        notes: Sentences about what the tensors cannot tell.
    """
    source: str
    layout: str
    used: List[str] = field(default_factory=list)
    resampled: Dict[str, Tuple] = field(default_factory=dict)
    new: Dict[str, str] = field(default_factory=dict)
    ignored: Dict[str, str] = field(default_factory=dict)
    notes: List[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f'Pre-trained weights from {self.source}:',
                 f'  layout     {self.layout}',
                 f'  used       {len(self.used)} tensors']
        for name, (source, target) in self.resampled.items():
            lines.append(f'  resampled  {name} from {source} to {target}')
        for title, names in (('new', self.new), ('ignored', self.ignored)):
            for why, group in _by_value(names).items():
                lines.append(f'  {title:<9}  {len(group)} tensor'
                             f'{"s" * (len(group) > 1)} ({why}): '
                             f'{shorten(group)}')
        lines += [f'  note       {note}' for note in self.notes]
        return '\n'.join(lines)

    def to_dict(self) -> dict:
        """The report as plain data, for JSON."""
        resampled = {name: dict(zip(('from', 'to'), map(list, sizes)))
                     for name, sizes in self.resampled.items()}
        return dict(vars(self), resampled=resampled)


def load_pretrained(backbone: nn.Module, checkpoint: str,
                    **options) -> LoadReport:
    """Load pre-trained weights into a backbone, whole or not at all.

    Args:
        backbone: A ``BaseBackbone``.
        checkpoint: A file, a URL, or a folder of Hugging Face.
        **options: As for :func:`fit_pretrained`.

    Returns:
        What was used, resampled, left as it is, and ignored.

    Raises:
        UserError: If the file cannot be read safely, or does not fit.
    """
    tensors, report = fit_pretrained(backbone, checkpoint, **options)
    backbone.load_state_dict(tensors, strict=False)
    return report


def fit_pretrained(backbone: nn.Module, checkpoint: str,
                   sha256: Optional[str] = None, **options
                   ) -> Tuple[Dict[str, Tensor], LoadReport]:
    """Find what fits a backbone in a checkpoint, and load nothing.

    Args:
        backbone: A ``BaseBackbone``; its parameters need no values.
        checkpoint: A file, a URL, or a folder of Hugging Face.
        sha256: The hash that the file must have, or its first digits.
            Defaults to None: only one in the file's name is looked at.
        **options: Those of the backbone's ``fit_checkpoint``.

    Returns:
        Tensors by the backbone's names, and the report.

    Raises:
        UserError: As for :func:`load_pretrained`.
    """
    return backbone.fit_checkpoint(
        read_checkpoint(checkpoint, sha256), str(checkpoint), **options)


def fit(backbone: nn.Module, plain: PlainViT, patch_resize: str = 'pinv'
        ) -> Tuple[Dict[str, Tensor], LoadReport]:
    """Adapt the encoder of a checkpoint to a backbone.

    Args:
        backbone: The HPViT; its parameters need no values.
        plain: The encoder.
        patch_resize: How the kernel of the patch embedding is resized:
            'pinv', 'bilinear' or 'pad'. Defaults to 'pinv'.

    Returns:
        Tensors by the backbone's names, and the report.
    """
    report = LoadReport(plain.source, plain.layout,
                        ignored=dict(plain.ignored))
    own = backbone.state_dict()
    tensors = dict(plain.tensors)
    if plain.layout == 'HPViT':
        tensors = _fit_own(tensors, backbone, report)
    _check_size(plain, backbone)
    _place_last_norm(tensors, backbone)
    with torch.no_grad():
        _fit_patches(tensors, own, patch_resize, report)
        _fit_position(tensors, backbone, plain, report)
    _fit_prefix(tensors, own, plain)
    _fill(tensors, own, backbone, report)
    _check_complete(tensors, own, plain)
    report.used = [n for n in own if n in tensors and n not in report.new]
    report.ignored.update({
        name: _why_ignored(name, own) for name in tensors if name not in own})
    report.notes += _notes(plain, backbone)
    return {name: tensors[name] for name in own if name in tensors}, report


def _fit_own(tensors: Dict[str, Tensor], backbone: nn.Module,
             report: LoadReport) -> Dict[str, Tensor]:
    """An HPViT's tensors: as they are, or regrouped into other stages."""
    stages = used_stages(tensors)
    kept = {n[len(KEPT):]: t for n, t in tensors.items() if n.startswith(KEPT)}
    tensors = {n: t for n, t in tensors.items() if not n.startswith(KEPT)}
    if stages != len(backbone.pools) + 1:
        report.layout = f'HPViT of {stages} stage{"s" * (stages > 1)}'
        # Its last norm is that of all blocks; the others, and the poolings,
        # belong to stages that are not there.
        last = f'norms.{stages - 1}.'
        for name in [n for n in tensors if n.startswith(last)]:
            tensors[name.replace(last, 'norm.')] = tensors.pop(name)
        for name in [n for n in tensors
                     if re.match(r'(norms|pools)\.\d', n)]:
            report.ignored[name] = 'of other stages'
            del tensors[name]
    wants_prefix = backbone.num_prefix and not any(
        name in tensors for name in ('cls_token', 'reg_token'))
    for name, tensor in kept.items():
        if wants_prefix or 'norm.' in name:
            tensors.setdefault(name, tensor)
    return tensors


def used_stages(tensors: Dict[str, Tensor]) -> int:
    """Stages of an HPViT up to its last output, which has a norm."""
    return 1 + max(int(name.split('.')[1]) for name in tensors
                   if name.startswith('norms.'))


def _check_size(plain: PlainViT, backbone: nn.Module) -> None:
    """The commonest mistake: another size of ViT."""
    depth = sum(backbone.stage_depths)
    built = len(backbone.blocks)
    layers = plain.num_layers
    if (plain.embed_dims, layers) not in (
            (backbone.embed_dims, depth), (backbone.embed_dims, built)):
        raise UserError(
            f'{plain.source} is a {plain.size_name}, but the backbone has '
            f'{depth} blocks of width {backbone.embed_dims}: set arch (and '
            'stage_depths) to those of the checkpoint. Nothing was loaded.')
    heads = backbone.blocks[0].attn.num_heads if built else None
    if plain.num_heads and heads and plain.num_heads != heads:
        raise UserError(
            f'{plain.source} has {plain.num_heads} attention heads, but the '
            f'backbone has {heads}: set num_heads of arch. Nothing was '
            'loaded.')
    for name, what in (('ls1.gamma', 'layer_scale_init_value'),
                       ('norm_pre', 'pre_norm')):
        theirs = any(name in one for one in plain.tensors)
        ours = any(name in one for one in backbone.state_dict())
        if theirs and not ours:
            value = '1e-5' if 'scale' in what else 'True'
            raise UserError(
                f'{plain.source} has {name}, which the backbone lacks: set '
                f'{what}={value} in the backbone. Nothing was loaded.')
        if ours and not theirs and layers:
            value = '0' if 'scale' in what else 'False'
            raise UserError(
                f'{plain.source} has no {name}, which the backbone has: set '
                f'{what}={value} in the backbone. Nothing was loaded.')


def _place_last_norm(tensors: Dict[str, Tensor], backbone: nn.Module) -> None:
    """The plain ViT's last norm goes to the output behind all blocks.

    For averaged features a fine-tuned ``fc_norm`` is meant for just that; for
    maps, and where there is only one of the two, it is the norm there is.
    """
    last = max(backbone.out_indices)
    if len(backbone.blocks) < sum(backbone.stage_depths):
        return
    order = ('norm', 'fc_norm')
    if backbone.out_type == 'avg_featmap':
        order = order[::-1]
    source = next((n for n in order if f'{n}.weight' in tensors), None)
    if source and f'norms.{last}.weight' not in tensors:
        for part in ('weight', 'bias'):
            if f'{source}.{part}' in tensors:
                tensors[f'norms.{last}.{part}'] = tensors.pop(
                    f'{source}.{part}')


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
    if 'pos_embed' not in tensors:
        tensors['pos_embed'] = tensors['patch_embed.proj.weight'].new_zeros(
            1, backbone.pos_grid[0] * backbone.pos_grid[1],
            backbone.embed_dims)
        report.new['pos_embed'] = 'zeros, the file has no positions'
        return
    position, source = tensors['pos_embed'], plain.grid
    if source is None:
        raise UserError(
            f'pos_embed of {plain.source} has {position.shape[1]} rows, which '
            'is no square grid: set img_size and patch_size to those of its '
            'pre-training.')
    if tuple(source) != tuple(backbone.pos_grid):
        report.resampled['pos_embed'] = (tuple(source), backbone.pos_grid)
        # (1, side * side, C) -> (1, h, w, C) -> (1, h * w, C)
        tensors['pos_embed'] = resample_pos_embed(
            position, tuple(source), backbone.pos_grid).flatten(1, 2)


def _fit_prefix(tensors: Dict[str, Tensor], own: Dict[str, Tensor],
                plain: PlainViT) -> None:
    """Rows of positions for the prefix tokens that the backbone keeps."""
    if 'prefix_pos_embed' not in own:
        return
    counts = {name: tensors[name].shape[1]
              for name in ('cls_token', 'reg_token') if name in tensors}
    position = tensors.get('prefix_pos_embed')
    if position is None:
        position = own['prefix_pos_embed'].new_zeros(
            1, sum(counts.values()), own['prefix_pos_embed'].shape[2],
            device='cpu')
    parts = dict(zip(counts, position.split(list(counts.values()), dim=1))) \
        if position.shape[1] == sum(counts.values()) else {}
    wanted = [name for name in ('cls_token', 'reg_token') if name in own]
    missing = [name for name in wanted if name not in parts]
    if missing:
        kept = dict(cls_token='with_cls_token=True',
                    reg_token='num_registers')
        raise UserError(
            f'{plain.source} has no {" and no ".join(missing)}, which the '
            'backbone wants: leave '
            f'{" and ".join(kept[name] for name in missing)} away. Nothing '
            'was loaded.')
    tensors['prefix_pos_embed'] = torch.cat(
        [parts[name] for name in wanted], dim=1)


def _fill(tensors: Dict[str, Tensor], own: Dict[str, Tensor],
          backbone: nn.Module, report: LoadReport) -> None:
    """What a file may lack, because there is a value that changes nothing.

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
    misshapen = [
        f'{name} is {tuple(tensors[name].shape)} and should be '
        f'{tuple(own[name].shape)}' for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    lost = [name for name in tensors if name not in own
            and name.startswith('blocks.') and name.endswith('.bias')]
    problems = []
    if misshapen:
        problems.append(f'{len(misshapen)} tensors have another shape '
                        f'({shorten(misshapen)})')
    if missing:
        problems.append(
            f'{len(missing)} tensors are missing ({shorten(missing)})')
    if problems:
        raise UserError(
            f'{plain.source} does not fit the backbone: '
            f'{" and ".join(problems)}. Nothing was loaded: '
            + _likely_cause(tensors, own))
    block_limit = sum(n.startswith('blocks.') and n.endswith('.norm1.weight')
                      for n in own)
    lost = [n for n in lost if int(n.split('.')[1]) < block_limit]
    if lost:
        raise UserError(
            f'{plain.source} has biases that the backbone lacks '
            f'({shorten(lost)}): set qkv_bias=True. Nothing was loaded.')


def _likely_cause(tensors: Dict[str, Tensor], own: Dict[str, Tensor]) -> str:
    name = 'reg_token'
    if name in own and name in tensors \
            and tensors[name].shape != own[name].shape:
        return f'set num_registers={tensors[name].shape[1]}.'
    name = 'blocks.0.mlp.fc1.weight'
    if name in own and name in tensors \
            and tensors[name].shape != own[name].shape:
        return (f'set feedforward_channels={tensors[name].shape[0]} of arch '
                'to that of the checkpoint.')
    return ('the file may be truncated or of another architecture; check that '
            'arch and norm_cfg are those of the checkpoint.')


def _why_ignored(name: str, own: Dict[str, Tensor]) -> str:
    if name in ('cls_token', 'reg_token', 'prefix_pos_embed'):
        return 'prefix token, which the backbone does not keep'
    if name.startswith(('norm.', 'fc_norm.', 'norms.')):
        return 'norm of an output that the backbone does not have'
    if name.startswith('pools.'):
        return 'pooling that the backbone does not have'
    if name.startswith('blocks.'):
        return 'block behind the last output'
    return 'not in the backbone'


def _notes(plain: PlainViT, backbone: nn.Module) -> List[str]:
    """What the description of a checkpoint says beside its tensors."""
    notes = []
    eps = plain.config.get('layer_norm_eps')
    norm = next((m for m in backbone.modules()
                 if isinstance(m, nn.LayerNorm)), None)
    if eps and norm and not _close(eps, norm.eps):
        notes.append(
            f'its norms have eps {eps:g}, the backbone has {norm.eps:g}: for '
            f"the same features set norm_cfg=dict(type='LN', eps={eps:g})")
    act = plain.config.get('hidden_act', 'gelu')
    if act != 'gelu':
        raise UserError(f'{plain.source} was trained with the activation '
                        f'{act}, and HPViT has gelu: take another checkpoint.')
    return notes


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-3 * max(abs(a), abs(b))


def _by_value(names: Dict[str, str]) -> Dict[str, List[str]]:
    groups = {}
    for name, why in names.items():
        groups.setdefault(why, []).append(name)
    return groups
