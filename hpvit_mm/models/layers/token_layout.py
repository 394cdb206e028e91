"""How the tokens of a grid are arranged into attention groups.

All three kinds of attention are self-attention inside groups of tokens; they
differ only in which tokens form a group. One formula covers them. Row ``r``
of the grid is written as ::

    r = (window * size + y) * dilation + dy

and columns likewise. ``(dy, dx, window_y, window_x)`` is the group, and
``(y, x)`` the place in it:

==========  =====================  ========================================
kind        dilation               tokens along a side of a group
==========  =====================  ========================================
global      1                      all
window      1                      at most ``window_size``
dilated     patch_size / stride    at most ``window_size``
==========  =====================  ========================================

Grouped tokens have the shape (B, groups, prefix + tokens, C): each group is
contiguous, with its copies of the prefix tokens (cls) in front, and attention
is one 4-D ``scaled_dot_product_attention``.
"""
from dataclasses import dataclass, replace
from typing import Callable, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hpvit_mm.errors import UserError

ATTENTION_KINDS = ('global', 'window', 'dilated')


@dataclass(frozen=True)
class TokenLayout:
    """An arrangement of the tokens of a grid into groups of one size.

    Attributes:
        grid: Tokens along the height and the width.
        dilation: Distance, in tokens of the grid, of neighbours in a group.
        windows: Windows along the height and the width, for each offset
            (dy, dx).
        size: Tokens along the height and the width of a group.
    """
    grid: Tuple[int, int]
    dilation: Tuple[int, int]
    windows: Tuple[int, int]
    size: Tuple[int, int]

    @classmethod
    def raster(cls, grid: Tuple[int, int]) -> 'TokenLayout':
        """One group with all tokens, row by row."""
        return cls(tuple(grid), (1, 1), (1, 1), tuple(grid))

    @classmethod
    def create(cls, kind: str, grid: Tuple[int, int], dilation: int,
               window_size: int) -> 'TokenLayout':
        """The layout of one kind of attention on a grid.

        All windows have the same size, the smallest that covers the grid: a
        side of 50 tokens and ``window_size=14`` gives 4 windows of 13, which
        pads 2 tokens, and not of 14, which pads 6.

        Args:
            kind: 'global', 'window' or 'dilated'.
            grid: Tokens along the height and the width.
            dilation: Distance of neighbours for 'dilated'.
            window_size: Maximum number of tokens along a side of a group,
                for 'window' and 'dilated'.
        """
        if kind not in ATTENTION_KINDS:
            raise UserError(f'attention must be one of {ATTENTION_KINDS}, '
                            f'but it is {kind!r}.')
        if kind == 'global':
            return cls.raster(grid)
        if kind == 'window':
            dilation = 1
        axes = []
        for length in grid:
            # no min(), which torch.export cannot simplify
            step = dilation if dilation < length else length
            rows = -(-length // step)
            windows = -(-rows // window_size)
            axes.append((step, windows, -(-rows // windows)))
        return cls(tuple(grid), *zip(*axes))

    @property
    def num_groups(self) -> int:
        return (self.dilation[0] * self.dilation[1] * self.windows[0] *
                self.windows[1])

    @property
    def padded_grid(self) -> Tuple[int, int]:
        """Tokens along the height and the width with padding."""
        return tuple(
            d * n * s
            for d, n, s in zip(self.dilation, self.windows, self.size))

    @property
    def is_padded(self) -> bool:
        return self.padded_grid != self.grid

    @property
    def neighbours(self) -> str:
        """Position of the four tokens that a 2x2 pooling makes one.

        'groups': at the same place of four neighbouring groups; 'places': at
        neighbouring places of one group; 'grid': anywhere.
        """
        if any(side % 2 for side in self.grid):
            return 'grid'
        if not any(step % 2 for step in self.dilation):
            return 'groups'
        even = not any(side % 2 for side in self.size)
        return 'places' if even and self.dilation == (1, 1) else 'grid'

    @property
    def pooled(self) -> 'TokenLayout':
        """The layout after ``pool_tokens``."""
        grid = tuple(-(-side // 2) for side in self.grid)
        (dy, dx), (h, w) = self.dilation, self.size
        if self.neighbours == 'groups':
            return replace(self, grid=grid, dilation=(dy // 2, dx // 2))
        if self.neighbours == 'places':
            return replace(self, grid=grid, size=(h // 2, w // 2))
        return TokenLayout.raster(grid)

    def group(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, groups, tokens, C), padded with zeros."""
        if self.num_groups == 1:
            return x.flatten(1, 2).unsqueeze(1)
        (height, width), (padded_h, padded_w) = self.grid, self.padded_grid
        if self.is_padded:
            x = F.pad(x, (0, 0, 0, padded_w - width, 0, padded_h - height))
        batch, channels = x.shape[0], x.shape[-1]
        (dy, dx), (ny, nx), (h, w) = self.dilation, self.windows, self.size
        # (B, H, W, C) -> (B, ny, h, dy, nx, w, dx, C)
        #              -> (B, dy, dx, ny, nx, h, w, C) -> (B, G, h * w, C)
        return x.reshape(batch, ny, h, dy, nx, w, dx, channels).permute(
            0, 3, 6, 1, 4, 2, 5, 7).reshape(
                batch, self.num_groups, h * w, channels)

    def ungroup(self, x: Tensor) -> Tensor:
        """(B, groups, tokens, C) -> (B, H, W, C), the padding cut off."""
        (height, width), (padded_h, padded_w) = self.grid, self.padded_grid
        batch, channels = x.shape[0], x.shape[-1]
        if self.num_groups == 1:
            return x.reshape(batch, height, width, channels)
        (dy, dx), (ny, nx), (h, w) = self.dilation, self.windows, self.size
        # (B, G, h * w, C) -> (B, dy, dx, ny, nx, h, w, C)
        #                  -> (B, ny, h, dy, nx, w, dx, C) -> (B, H, W, C)
        x = x.reshape(batch, dy, dx, ny, nx, h, w, channels).permute(
            0, 3, 5, 1, 4, 6, 2, 7).reshape(
                batch, padded_h, padded_w, channels)
        return x[:, :height, :width]

    def to_map(self, x: Tensor) -> Tensor:
        """(B, groups, tokens, C) -> (B, C, H, W)"""
        (height, width), (padded_h, padded_w) = self.grid, self.padded_grid
        batch, channels = x.shape[0], x.shape[-1]
        (dy, dx), (ny, nx), (h, w) = self.dilation, self.windows, self.size
        # (B, G, h * w, C) -> (B, dy, dx, ny, nx, h, w, C)
        #                  -> (B, C, ny, h, dy, nx, w, dx) -> (B, C, H, W)
        x = x.reshape(batch, dy, dx, ny, nx, h, w, channels).permute(
            0, 7, 3, 5, 1, 4, 6, 2).reshape(
                batch, channels, padded_h, padded_w)
        return x[..., :height, :width].contiguous()

    def average(self, x: Tensor) -> Tensor:
        """(B, groups, tokens, C) -> (B, C), without the padding."""
        if self.is_padded:
            return self.ungroup(x).mean(dim=(1, 2))
        return x.mean(dim=(1, 2))

    def key_mask(self, batch: int, num_prefix: int,
                 device: torch.device) -> Optional[Tensor]:
        """Make the mask of the tokens that may act as keys.

        A group of nothing but padding keeps all its keys where there are no
        prefix tokens: its results are cut off, but they must stay finite, or
        they would spoil gradients. Prefix tokens are not cut off.

        Returns:
            A boolean mask of shape (B * groups, 1, 1, prefix + tokens), ready
            for attention, or None where there is no padding.
        """
        if not self.is_padded:
            return None
        real = torch.ones((1, *self.grid, 1), dtype=torch.bool, device=device)
        # (1, H, W, 1) -> (1, G, T, 1) -> (G, T)
        mask = self.group(real)[0, :, :, 0]
        if not num_prefix:
            mask = mask | ~mask.any(dim=1, keepdim=True)
        mask = F.pad(mask, (num_prefix, 0), value=True)
        # (G, P + T) -> (B * G, 1, 1, P + T)
        return mask.repeat(batch, 1)[:, None, None]


def regroup(x: Tensor, old: TokenLayout, new: TokenLayout,
            num_prefix: int = 0) -> Tensor:
    """Move tokens from one layout of a grid to another.

    The prefix tokens of all groups are averaged and copied to the new groups.

    Args:
        x: Tokens of shape (B, old groups, prefix + old tokens, C).
        old: The layout that they have.
        new: The layout that they get.
        num_prefix: Number of prefix tokens in each group.

    Returns:
        Tokens of shape (B, new groups, prefix + new tokens, C).
    """
    if old == new:
        return x
    grouped = new.group(old.ungroup(x[:, :, num_prefix:]))
    if not num_prefix:
        return grouped
    # (B, G, P, C) -> (B, 1, P, C) -> (B, G', P, C)
    prefix = x[:, :, :num_prefix].mean(dim=1, keepdim=True)
    return torch.cat([prefix.expand(-1, new.num_groups, -1, -1), grouped],
                     dim=2)


def pool_tokens(x: Tensor, layout: TokenLayout,
                pooling: Callable[[Tensor], Tensor],
                num_prefix: int = 0) -> Tensor:
    """Pool neighbouring tokens 2x2; an odd last row or column is repeated.

    In a dilated layout neighbours lie at the same place of four neighbouring
    groups, in windows of an even size in the same group. Then nothing is
    moved, and the layout becomes one of half the dilation, or half the size.
    Otherwise the tokens go back to raster order first.

    Args:
        x: Tokens of shape (B, groups, prefix + tokens, C).
        layout: The layout that they have.
        pooling: Maps (B, H, W, ..., C) to (B, H / 2, W / 2, ..., C).
        num_prefix: Number of prefix tokens in each group. They are averaged
            over the groups that are pooled. Defaults to 0.

    Returns:
        The pooled tokens, in ``layout.pooled``: on a grid of (ceil(H/2),
        ceil(W/2)).
    """
    if layout.neighbours == 'groups':
        return pool_groups(x, layout.dilation, pooling, num_prefix)
    if layout.neighbours == 'places':
        return pool_places(x, layout.size, pooling, num_prefix)
    prefix = x[:, :, :num_prefix].mean(dim=1, keepdim=True)
    # (B, G, T, C) -> (B, H, W, C), its last row or column repeated
    x = layout.ungroup(x[:, :, num_prefix:])
    if layout.grid[0] % 2:
        x = torch.cat([x, x[:, -1:]], dim=1)
    if layout.grid[1] % 2:
        x = torch.cat([x, x[:, :, -1:]], dim=2)
    # (B, H, W, C) -> (B, 1, H/2 * W/2, C)
    x = pooling(x).flatten(1, 2).unsqueeze(1)
    return torch.cat([prefix, x], dim=2) if num_prefix else x


def pool_groups(x: Tensor, dilation: Tuple[int, int],
                pooling: Callable[[Tensor], Tensor],
                num_prefix: int = 0) -> Tensor:
    """Pool tokens whose neighbours lie at one place of four groups.

    Args:
        x: Tokens of shape (B, dy * dx * windows, prefix + tokens, C).
        dilation: The dilation (dy, dx) of their layout.
        pooling: As for :func:`pool_tokens`.
        num_prefix: As for :func:`pool_tokens`.

    Returns:
        Tokens of shape (B, dy/2 * dx/2 * windows, prefix + tokens, C).
    """
    # (B, G, P + T, C) -> (B, dy, dx, windows, P + T, C)
    x = x.unflatten(1, (*dilation, -1))
    prefix, x = x[..., :num_prefix, :], x[..., num_prefix:, :]
    # (B, dy, dx, windows, T, C) -> (B, dy/2, dx/2, windows, T, C)
    x = pooling(x)
    if num_prefix:
        # (B, dy, dx, windows, P, C) -> (B, dy/2, 2, dx/2, 2, windows, P, C)
        #                            -> (B, dy/2, dx/2, windows, P, C)
        prefix = prefix.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).mean(
            dim=(2, 4))
        x = torch.cat([prefix, x], dim=-2)
    return x.flatten(1, 3)


def pool_places(x: Tensor, size: Tuple[int, int],
                pooling: Callable[[Tensor], Tensor],
                num_prefix: int = 0) -> Tensor:
    """Pool tokens whose neighbours lie in one group.

    Args:
        x: Tokens of shape (B, groups, prefix + h * w, C).
        size: Tokens along the height and the width of a group, (h, w).
        pooling: As for :func:`pool_tokens`.
        num_prefix: As for :func:`pool_tokens`.

    Returns:
        Tokens of shape (B, groups, prefix + h/2 * w/2, C).
    """
    prefix, tokens = x[:, :, :num_prefix], x[:, :, num_prefix:]
    # (B, G, h * w, C) -> (B * G, h, w, C) -> (B * G, h/2, w/2, C)
    tokens = pooling(tokens.flatten(0, 1).unflatten(1, size))
    # (B * G, h/2, w/2, C) -> (B, G, h/2 * w/2, C)
    tokens = tokens.flatten(1, 2).unflatten(0, x.shape[:2])
    return torch.cat([prefix, tokens], dim=2) if num_prefix else tokens
