"""The position embedding of a checkpoint: its grid, and rows of tokens."""
import math
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple, Union

import torch

from hpvit_mm.errors import UserError
from .config_json import pretrained_cfg, timm_arguments

if TYPE_CHECKING:
    from .plain import PlainViT


def split_position(plain: 'PlainViT',
                   grid: Optional[Tuple[int, int]]) -> None:
    """Split the position embedding into prefix tokens and patches.

    Whether prefix tokens have rows of their own depends on the family: in
    timm all have them or none, in DINOv2 and Hugging Face registers have
    none, DeiT-III gives none to cls, and ViTDet keeps the row of a cls token
    that it has dropped. The number of rows decides: of counts this close, at
    most one is a square.
    """
    tensors = plain.tensors
    dist = tensors.pop('dist_token', None)
    if dist is not None:
        if 'reg_token' in tensors:
            raise UserError(f'{plain.source} has a distillation token and '
                            'registers, which HPViT cannot represent.')
        tensors['reg_token'] = dist
        plain.has_dist_token = True
    cls_token = tensors.get('cls_token')
    if cls_token is not None:  # CLIP's has one dimension
        tensors['cls_token'] = cls_token.reshape(1, -1, cls_token.shape[-1])
    if 'reg_token' in tensors and tensors['reg_token'].ndim == 2:
        tensors['reg_token'] = tensors['reg_token'][None]
    counts = list(plain.prefix_tokens.values())
    position = tensors.pop('pos_embed', None)
    if position is None:
        return
    if position.ndim == 4:  # (1, h, w, C) -> (1, h * w, C)
        grid, position = position.shape[1:3], position.flatten(1, 2)
    elif position.ndim == 2:
        position = position[None]
    if position.ndim != 3:
        raise UserError(f'pos_embed of {plain.source} has the shape '
                        f'{tuple(position.shape)}: it is damaged.')
    total = position.shape[1]
    rows = {0, sum(counts), *counts[:1]} if counts else {0, 1}
    # a grid that the file tells counts more than that of a backbone
    told = _grid_of_config(plain)
    known = told if told and math.prod(told) in [
        total - n for n in rows] else grid
    grids = {n: grid_of(total - n, known) for n in sorted(rows, reverse=True)}
    found = [n for n, one in grids.items() if one]
    exact = [n for n in found if known and grids[n] == tuple(known)]
    if not exact and len(found) != 1:
        raise UserError(
            f'pos_embed of {plain.source} has {total} rows, which is '
            f'{"more than one" if found else "no"} square grid: set img_size '
            'and patch_size to those of its pre-training.')
    first = (exact or found)[0]
    plain.grid = grids[first]
    plain.position_rows = first
    tensors['pos_embed'] = position[:, first:]
    if first and counts:
        prefix = position[:, :first]
        if first < sum(counts):
            zeros = position.new_zeros(1, sum(counts) - first,
                                       position.shape[2])
            prefix = torch.cat([prefix, zeros], dim=1)
        tensors['prefix_pos_embed'] = prefix


def grid_of(count: int, known: Optional[Tuple[int, int]]
            ) -> Optional[Tuple[int, int]]:
    """Return the known grid, or a square one, of so many tokens; or None."""
    if known and count == known[0] * known[1]:
        return tuple(known)
    side = math.isqrt(max(count, 0))
    return (side, side) if side and side * side == count else None


def _grid_of_config(plain: 'PlainViT') -> Optional[Tuple[int, int]]:
    """Return the grid of a config.json, of transformers' or timm's."""
    pretrained = pretrained_cfg(plain.config)
    size = plain.config.get('image_size') or timm_arguments(
        plain.config).get('img_size') or pretrained.get('input_size')
    size = size[-2:] if isinstance(size, list) else size
    return grid_of_size(size, plain.patch_size) if size else None


def grid_of_size(size: Union[int, Sequence[int]],
                 patch_size: Sequence[int]) -> Optional[Tuple[int, int]]:
    """Return the patches of images of a size, or None if it is no size."""
    sides = (size, size) if isinstance(size, int) else size
    if not isinstance(sides, (list, tuple)) or len(sides) != 2 or not all(
            isinstance(one, int) and one > 0 for one in sides):
        return None
    height, width = sides
    return height // patch_size[0], width // patch_size[1]


def size_of(grid: Sequence[int], patch_size: int) -> Union[int, List[int]]:
    """Return the side of the images of a grid, or height and width."""
    height, width = (side * patch_size for side in grid)
    return height if height == width else [height, width]
