"""Pre-trained weights of a plain ViT, or of an HPViT, into a backbone."""
import math
from dataclasses import dataclass, field
from typing import Dict, List, Tuple

import torch
from torch import Tensor, nn

from hpvit_mm.errors import UserError
from hpvit_mm.models.layers.position import resample_pos_embed
from .read import read_checkpoint

# Parts of a pre-training or a classifier that a backbone has no use for.
HEADS = ('decoder', 'mask_token', 'head', 'fc_norm', 'neck.')
# Parts of HPViT that a plain ViT does not have; they start as they are.
NEW_PARTS = ('pools.', 'norms.')


@dataclass
class LoadReport:
    """What became of the tensors of a checkpoint."""
    source: str
    layout: str
    used: List[str] = field(default_factory=list)
    resampled: Dict[str, Tuple] = field(default_factory=dict)
    new: List[str] = field(default_factory=list)
    ignored: List[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f'Pre-trained weights from {self.source}:',
                 f'  layout     {self.layout}',
                 f'  used       {len(self.used)} tensors']
        for name, (source, target) in self.resampled.items():
            lines.append(f'  resampled  {name} from {source} to {target}')
        for title, names in (('new', self.new), ('ignored', self.ignored)):
            if names:
                lines.append(f'  {title:<9}  {len(names)} tensors: '
                             f'{_shorten(names)}')
        return '\n'.join(lines)


def load_pretrained(backbone: nn.Module, checkpoint: str) -> LoadReport:
    """Load pre-trained weights into an HPViT, whole or not at all.

    Takes MAE's own files (pre-trained or fine-tuned; timm's ViTs have the
    same names) and HPViT's, alone or as part of a detector, segmentor or
    classifier. The position embedding is resampled to the backbone's grid.

    Args:
        backbone: The HPViT to fill.
        checkpoint: A file, or an address.

    Returns:
        What was used, resampled, left as it is, and ignored.

    Raises:
        UserError: If a tensor of the backbone is missing or misshapen.
    """
    tensors = backbone_tensors(read_checkpoint(checkpoint), str(checkpoint))
    is_own = any(name.startswith('norms.') for name in tensors)
    report = LoadReport(
        str(checkpoint), 'HPViT' if is_own else 'MAE or timm ViT')
    if not is_own:
        tensors = _from_plain(tensors, backbone)
    elif len(backbone.stage_depths) > 1 and _is_one_stage(tensors):
        # Its last norm is that of all blocks, not of our first stage.
        report.layout = 'HPViT of one stage'
        for name in [n for n in tensors if n.startswith('norms.0.')]:
            tensors[name.replace('norms.0', 'norm')] = tensors.pop(name)
    if 'pos_embed' in tensors:
        tensors['pos_embed'] = _fit_pos_embed(tensors['pos_embed'], backbone,
                                              report)

    own = backbone.state_dict()
    report.new = [
        name for name in own if name not in tensors
        and name.startswith(NEW_PARTS)
    ]
    missing = [n for n in own if n not in tensors and n not in report.new]
    misshapen = [
        f'{name} is {tuple(tensors[name].shape)} and should be '
        f'{tuple(own[name].shape)}' for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    if missing or misshapen:
        problems = []
        if misshapen:
            problems.append(f'{len(misshapen)} tensors have another shape '
                            f'({_shorten(misshapen)})')
        if missing:
            problems.append(
                f'{len(missing)} tensors are missing ({_shorten(missing)})')
        raise UserError(
            f'{checkpoint} does not fit the backbone: '
            f'{" and ".join(problems)}. Nothing was loaded: check that arch, '
            'patch_size and in_channels are those of the checkpoint.')
    report.used = [name for name in own if name in tensors]
    report.ignored = [name for name in tensors if name not in own]
    backbone.load_state_dict({name: tensors[name] for name in report.used},
                             strict=False)
    return report


def backbone_tensors(content: dict, source: str) -> Dict[str, Tensor]:
    """The backbone's tensors in a checkpoint, without wrappers and prefixes.

    Args:
        content: What the file holds.
        source: Its name, for the error.

    Raises:
        UserError: If there is no patch embedding by MAE's name.
    """
    for key in ('state_dict', 'model', 'module'):
        if isinstance(content.get(key), dict):
            content = content[key]
    tensors = {n: t for n, t in content.items() if isinstance(t, Tensor)}
    for prefix in ('module.', 'backbone.'):
        inside = {
            name[len(prefix):]: tensor
            for name, tensor in tensors.items() if name.startswith(prefix)
        }
        tensors = inside or tensors
    if 'patch_embed.proj.weight' not in tensors:
        raise UserError(
            f'{source} is of no layout that can be loaded: there is no '
            f'patch_embed.proj.weight among its tensors '
            f'({_shorten(list(tensors)) or "it has none"}).')
    return tensors


def _is_one_stage(tensors: Dict[str, Tensor]) -> bool:
    """Whether an HPViT's tensors are those of a plain ViT.

    Blocks behind the last output are never built, so that several blocks
    with the norm of stage 0 alone belong to one stage.
    """
    norms = {n.split('.')[1] for n in tensors if n.startswith('norms.')}
    blocks = {n.split('.')[1] for n in tensors if n.startswith('blocks.')}
    pools = any(name.startswith('pools.') for name in tensors)
    return norms == {'0'} and len(blocks) > 1 and not pools


def _from_plain(tensors: Dict[str, Tensor],
                backbone: nn.Module) -> Dict[str, Tensor]:
    """Rename what a plain ViT calls otherwise, and drop its heads."""
    tensors = {
        name: tensor for name, tensor in tensors.items()
        if not name.startswith(HEADS)
    }
    if len(backbone.stage_depths) == 1:
        # One stage is the plain ViT itself, its last norm included.
        for part in ('weight', 'bias'):
            if f'norm.{part}' in tensors:
                tensors[f'norms.0.{part}'] = tensors.pop(f'norm.{part}')
    position = tensors.get('pos_embed')
    if position is not None:
        prefix = sum(n in tensors for n in ('cls_token', 'dist_token'))
        length = position.shape[1]
        if (math.isqrt(length)**2 == length
                and math.isqrt(length - prefix)**2 != length - prefix):
            prefix = 0  # DeiT-III adds cls behind the position embedding
        if prefix and backbone.num_prefix:
            # The position of cls never changes: it is a part of the token.
            tensors['cls_token'] = tensors['cls_token'] + position[:, :1]
        tensors['pos_embed'] = position[:, prefix:]
    return tensors


def _fit_pos_embed(position: Tensor, backbone: nn.Module,
                   report: LoadReport) -> Tensor:
    """Resample a square position embedding to the backbone's grid."""
    target = backbone.pos_grid
    if position.shape[1] == target[0] * target[1]:
        return position
    side = math.isqrt(position.shape[1])
    if side * side != position.shape[1]:
        raise UserError(
            f'pos_embed of {report.source} has {position.shape[1]} rows, '
            'which is no square grid: set img_size to the image size of its '
            'pre-training.')
    report.resampled['pos_embed'] = ((side, side), target)
    with torch.no_grad():
        # (1, side * side, C) -> (1, h, w, C) -> (1, h * w, C)
        return resample_pos_embed(position, (side, side), target).flatten(1, 2)


def _shorten(names: List[str], most: int = 3) -> str:
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
