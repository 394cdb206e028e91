"""Masked pre-training of Swin on visible tokens alone (GreenMIM)."""
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmpretrain.models import SwinTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hpvit_mm.errors import UserError
from hpvit_mm.registry import MODELS
from ..layers.masking import check_sides, image_units, visible_units
from .mae import MAE


@MODELS.register_module()
class GreenMIM(MAE):
    """Masked autoencoder of Swin (arXiv 2205.13515).

    MAE whose images of a batch share a mask, so that the windows of
    ``MaskedSwin`` are grouped once per batch. Arguments are those of
    :class:`MAE`.
    """

    def random_mask(self, inputs: Tensor) -> Tensor:
        """Draw one mask for all images, (B, h, w), as MAE draws each."""
        return super().random_mask(inputs[:1]).expand(len(inputs), -1, -1)


@MODELS.register_module()
class MaskedSwin(SwinTransformer):
    """mmpretrain's Swin, with ``forward(x, mask)`` on visible units alone.

    A mask unit has 32x32 pixels, a token of the last stage. Windows keep
    different numbers of visible tokens, so that several are computed as one
    group, in which tokens attend to those of their own window: the result is
    that of windows without the hidden tokens. Parameters, arguments and
    checkpoints are those of mmpretrain's ``SwinTransformer``.
    """

    @property
    def mask_unit(self) -> int:
        """Pixels along a side of a mask unit."""
        return self._patch << (len(self.stages) - 1)

    @property
    def _patch(self) -> int:
        return self.patch_embed.projection.stride[0]

    def no_weight_decay(self) -> Tuple[str, ...]:
        """Names of the tables of relative positions, as in SimMIM."""
        return tuple(name for name, _ in self.named_parameters()
                     if name.endswith('relative_position_bias_table'))

    def check_mask(self, x: Tensor) -> None:
        """Raise a UserError if images (B, C, H, W) cannot be masked."""
        sides, unit = tuple(x.shape[-2:]), self.mask_unit
        check_sides(x, unit)
        if self.use_abs_pos_embed or self.out_after_downsample:
            raise UserError(
                'MaskedSwin has no absolute positions and no outputs behind '
                'the merging: omit use_abs_pos_embed and '
                'out_after_downsample.')
        for i, stage in enumerate(self.stages):
            window = stage.blocks[0].attn.window_size
            grid = tuple(side // (self._patch << i) for side in sides)
            if any(side % window for side in grid):
                raise UserError(
                    f'stage {i} of MaskedSwin has {grid[0]} x {grid[1]} '
                    f'tokens, which are no whole windows of {window}: set '
                    'window_size, in stage_cfgs for one stage, to a number '
                    'that divides them.')

    def forward(self, x: Tensor, mask: Optional[Tensor] = None
                ) -> Tuple[Tensor, ...]:
        """Compute the features of images, or of their visible units.

        Args:
            x: Images of shape (B, C, H, W).
            mask: Boolean mask of units, (B, H / 32, W / 32), True where
                hidden, the same for all images. Defaults to None: all is
                visible, as in mmpretrain.

        Returns:
            As mmpretrain's; with a mask (B, V, t_i, C_i) per output: the V
            visible units in raster order, with the t_i tokens of a unit.

        Raises:
            UserError: If the mask does not fit.
        """
        if mask is None:
            return super().forward(x)
        self.check_mask(x)
        unit, batch = self.mask_unit, len(x)
        grid = tuple(side // unit for side in x.shape[-2:])
        index = visible_units(mask, grid, torch.device('cpu'))
        if (index != index[:1]).any():
            raise UserError('the images of a batch must share a mask in '
                            'MaskedSwin: train it by hpvit_mm.GreenMIM.')
        index = index[0]
        units = image_units(x, unit)
        # (B * V, C, unit, unit) -> (B * V, side * side, dims)
        x, (side, _) = self.patch_embed(units[:, index].flatten(0, 1))
        x = self.drop_after_pos(x)
        outs = []
        for i, stage in enumerate(self.stages):
            x = x.unflatten(0, (batch, -1)).flatten(1, 2)  # (B, T, C)
            sides = tuple(length * side for length in grid)
            places = _places(index, grid, side)
            plans = {}
            for block in stage.blocks:
                attn = block.attn
                shift = attn.shift_size
                if min(sides) == attn.window_size and not attn.pad_small_map:
                    shift = 0  # one window, as in mmpretrain
                if shift not in plans:
                    plans[shift] = Plan.create(
                        places, sides, attn.window_size, shift).to(x.device)
                x = _block(block, x, plans[shift])
            # (B, V * side * side, C) -> (B, V, side * side, C)
            x = x.unflatten(1, (len(index), side * side))
            if i in self.out_indices:
                outs.append(getattr(self, f'norm{i}')(x))
            x = x.flatten(0, 1)
            if stage.downsample is not None:
                x, (side, _) = stage.downsample(x, (side, side))
        return tuple(outs)


@dataclass
class Plan:
    """Arrangement of the visible tokens of windows into groups.

    Attributes:
        order: Token at each place of the groups, (G * g, ); padding repeats
            a token.
        slots: Place of each token in the groups, (T, ).
        allowed: Whether a place may attend to another, (G, g, g).
        relative: Places in their window of a query and a key, (2, G, g, g).
    """
    order: Tensor
    slots: Tensor
    allowed: Tensor
    relative: Tensor

    @classmethod
    def create(cls, places: Tensor, grid: Tuple[int, int], window: int,
               shift: int) -> 'Plan':
        """Group the windows of a layer.

        Args:
            places: Rows and columns of the visible tokens, (T, 2).
            grid: Tokens along the height and the width of an image.
            window: Tokens along a side of a window.
            shift: Cyclic shift of the layer's windows.
        """
        sides = torch.tensor(grid)
        shifted = (places - shift) % sides
        # what was shifted over the border does not attend to the rest
        region = (shifted >= sides - window).long() + (
            shifted >= sides - shift) if shift else torch.zeros_like(shifted)
        rows = torch.cat([shifted // window, region], dim=1)
        # windows are numbered; ``part`` tells regions apart too
        _, number, counts = torch.unique(
            rows[:, :2], dim=0, return_inverse=True, return_counts=True)
        _, part = torch.unique(rows, dim=0, return_inverse=True)
        groups, size = group_windows(counts.tolist())
        members = number.argsort(stable=True).split(counts.tolist())
        order, valid = [], []
        for group in groups:
            tokens = torch.cat([members[one] for one in group])
            padding = size - len(tokens)
            order.append(F.pad(tokens, (0, padding), value=int(tokens[0])))
            valid.append(torch.arange(size) < len(tokens))
        order, valid = torch.stack(order), torch.stack(valid)  # (G, g)
        allowed = (part[order][:, :, None] == part[order][:, None]) \
            & valid[:, None]
        slots = torch.empty(len(places), dtype=torch.long)
        slots[order[valid]] = valid.flatten().nonzero()[:, 0]
        inside = shifted % window
        place = (inside[:, 0] * window + inside[:, 1])[order]
        return cls(order.flatten(), slots, allowed, torch.stack(
            torch.broadcast_tensors(place[:, :, None], place[:, None])))

    def to(self, device: torch.device) -> 'Plan':
        """The plan on another device."""
        return Plan(*(one.to(device, non_blocking=True) for one in (
            self.order, self.slots, self.allowed, self.relative)))


def _places(index: Tensor, grid: Tuple[int, int], side: int) -> Tensor:
    """Rows and columns of the tokens of units, (V * side * side, 2)."""
    inner = torch.arange(side)
    rows = (index // grid[1] * side)[:, None, None] + inner[:, None]
    columns = (index % grid[1] * side)[:, None, None] + inner
    # 2 of (V, side, side) -> (V, side, side, 2)
    return torch.stack(torch.broadcast_tensors(rows, columns),
                       dim=3).flatten(0, 2)


def _block(block: nn.Module, x: Tensor, plan: Plan) -> Tensor:
    """A block of Swin on visible tokens, (B, T, C) -> (B, T, C)."""
    if block.with_cp and torch.is_grad_enabled():
        return checkpoint(_block_forward, block, x, plan, use_reentrant=False)
    return _block_forward(block, x, plan)


def _block_forward(block: nn.Module, x: Tensor, plan: Plan) -> Tensor:
    attn = block.attn.w_msa
    groups, size, _ = plan.allowed.shape
    # (B, T, 3 * C) -> (B, G * g, 3 * C) -> (B, G, g, 3, heads, d)
    # -> 3 of (B, G, heads, g, d) -> (B, G * heads, g, d)
    qkv = attn.qkv(block.norm1(x))[:, plan.order].reshape(
        len(x), groups, size, 3, attn.num_heads, -1)
    q, k, v = (one.flatten(1, 2) for one in
               qkv.permute(3, 0, 1, 4, 2, 5).unbind(0))
    # (G, g, g, heads) -> (G, heads, g, g) -> (1, G * heads, g, g)
    bias = attn.relative_position_bias_table[
        attn.relative_position_index[tuple(plan.relative)]]
    bias = bias.permute(0, 3, 1, 2).masked_fill(
        ~plan.allowed[:, None], float('-inf')).flatten(0, 1)[None]
    out = F.scaled_dot_product_attention(
        q, k, v, attn_mask=bias.to(q.dtype), scale=attn.scale,
        dropout_p=attn.attn_drop.p if attn.training else 0.)
    # (B, G * heads, g, d) -> (B, G, g, heads, d) -> (B, G * g, C) -> (B, T, C)
    out = out.unflatten(1, (groups, attn.num_heads)).transpose(2, 3).reshape(
        len(x), groups * size, -1)[:, plan.slots]
    x = x + block.attn.drop(attn.proj_drop(attn.proj(out)))
    return block.ffn(block.norm2(x), identity=x)


# --------------------------------------------------------------- grouping


def group_windows(counts: Sequence[int]) -> Tuple[List[List[int]], int]:
    """Arrange windows into groups of one size, at the least cost.

    The cost is that of the attention, groups times size squared. For a size
    the groups are filled one after the other: each takes the largest window
    that is left, and those others that fill it best, which is a knapsack
    problem solved by dynamic programming.

    Args:
        counts: Visible tokens of each window, from 1 on.

    Returns:
        The windows of each group, and the size of a group.
    """
    largest, total = max(counts), sum(counts)
    sizes = range(largest, min(2 * largest, total) + 1)
    step = max(1, len(sizes) // 8)
    found = [(fill_groups(counts, size), size) for size in sizes[::step]]
    return min(found, key=lambda one: len(one[0]) * one[1]**2)


def fill_groups(counts: Sequence[int], size: int) -> List[List[int]]:
    """Fill groups of a size; see :func:`group_windows`."""
    left = sorted(range(len(counts)), key=lambda one: -counts[one])
    groups = []
    while left:
        first, *others = left
        room = size - counts[first]
        # bit n of sums[i]: whether some of the first i windows sum to n
        sums, limit = [1], (1 << (room + 1)) - 1
        for one in others:
            sums.append((sums[-1] | sums[-1] << counts[one]) & limit)
        rest, group = sums[-1].bit_length() - 1, [first]
        for i in range(len(others), 0, -1):
            if not sums[i - 1] >> rest & 1:
                group.append(others[i - 1])
                rest -= counts[others[i - 1]]
        groups.append(group)
        left = [one for one in left if one not in group]
    return groups
