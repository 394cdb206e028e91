"""Rotary position embeddings on a grid of tokens."""
import math
from typing import Optional, Tuple

import torch
import torch.nn as nn
from torch import Tensor

COORDS = ('centre', 'index')
ORDERS = ('yx', 'xy')
STYLES = ('half', 'interleaved')


class Rotary(nn.Module):
    """Axial rotary positions of images, for any coordinates of the tokens.

    Queries and keys are rotated by angles that are proportional to their
    place (RoFormer, arXiv 2104.09864): half of the pairs of channels by the
    row, half by the column, so that their products depend on differences of
    places only. ``frequency[j] = base ** -(j / (head_dims / 4))``, and

    ==========  ==========================================================
    coords      angle of the place p on a grid of n patches along an axis
    ==========  ==========================================================
    'centre'    ``2 * pi * (2 * (p + 0.5) / n - 1) * frequency``
                (DINOv3, arXiv 2508.10104): an image spans [-1, 1]
    'index'     ``(p + offset) * grid / n * frequency`` (EVA-02, arXiv
                2303.11331: grid 16); without ``grid``
                ``(p + offset) * frequency`` (PE, arXiv 2504.13181;
                RoPE-ViT, arXiv 2403.13298)
    ==========  ==========================================================

    Channel m is paired with channel m + head_dims / 2, and the rows come
    first. Weights for other orders of the channels are permuted when they
    are loaded, by :func:`channel_order`.

    Args:
        head_dims: Channels of a head, a multiple of 4.
        coords: 'centre' or 'index'.
        base: Base of the frequencies.
        grid: Patches along a side of the pre-training images, to which
            'index' scales all others. Defaults to None: no scaling.
        offset: Added to the places of 'index'. Only prefix tokens, which are
            not rotated, make it matter. Defaults to 0.
        learned: Number of blocks and of heads, if each head of each block
            learns its frequencies of the column and of the row (RoPE-ViT's
            'mixed'), which start at ``base`` in random directions. Defaults
            to None: fixed ones.
    """

    def __init__(self, head_dims: int, coords: str, base: float,
                 grid: Optional[int] = None, offset: float = 0.,
                 learned: Optional[Tuple[int, int]] = None) -> None:
        super().__init__()
        self.head_dims = head_dims
        self.coords = coords
        self.base = base
        self.grid = grid
        self.offset = offset
        self.freqs = None
        if learned:
            # (blocks, heads, 2, 1): two directions at a right angle
            turns = 2 * math.pi * torch.rand(*learned, 1, 1) + torch.tensor(
                [[0.], [math.pi / 2]])
            # (2, blocks, heads, 2, d/4) -> (2, blocks, heads, d/2)
            self.freqs = nn.Parameter((torch.stack(
                [turns.cos(), turns.sin()]) * self._fixed(turns)).flatten(-2))

    def _fixed(self, like: Tensor) -> Tensor:
        """The fixed frequencies, (d / 4, )."""
        quarter = self.head_dims // 4
        return self.base**-(torch.arange(
            quarter, dtype=like.dtype, device=like.device) / quarter)

    def forward(self, places: Tensor, patches: Tuple[int, int],
                block: int = 0) -> Tensor:
        """Compute cosines and sines of the angles.

        Args:
            places: Rows and columns of tokens, in patches from the centre of
                the first one, of shape (..., 2). In fp32 or more.
            patches: Patches along the height and the width of the image.
            block: Number of the block, for learned frequencies.

        Returns:
            Cosines and sines, of shape (2, ..., head_dims / 2); for learned
            frequencies (2, ..., heads, head_dims / 2).
        """
        count = places.new_tensor(patches)
        if self.coords == 'centre':
            places = 2 * math.pi * ((2 * places + 1) / count - 1)
        else:
            places = places + self.offset
            if self.grid:
                places = places * (self.grid / count)
        if self.freqs is None:
            # (..., 2, 1) * (d/4, ) -> (..., 2, d/4) -> (..., d/2)
            angles = (places.unsqueeze(-1) * self._fixed(places)).flatten(-2)
        else:
            rows, columns = places[..., None, None].unbind(-3)
            along_x, along_y = self.freqs[:, block].to(places.dtype)
            # (..., 1, 1) * (heads, d/2) -> (..., heads, d/2)
            angles = columns * along_x + rows * along_y
        return torch.stack([angles.cos(), angles.sin()])

    def extra_repr(self) -> str:
        return (f'coords={self.coords!r}, base={self.base}, grid={self.grid}, '
                f'offset={self.offset}, learned={self.freqs is not None}')


def rotate(x: Tensor, rope: Tensor) -> Tensor:
    """Rotate pairs of channels, in the precision of the angles.

    Args:
        x: Queries or keys of shape (..., d).
        rope: Cosines and sines, (2, ..., d / 2), that fit ``x``.

    Returns:
        A tensor of the shape and the type of ``x``.
    """
    (one, other), (cos, sin) = x.chunk(2, dim=-1), rope
    return torch.cat([one * cos - other * sin, other * cos + one * sin],
                     dim=-1).to(x.dtype)


def channel_order(head_dims: int, order: str, style: str) -> Tensor:
    """Return which channels of a head :class:`Rotary` takes, in its order.

    Args:
        head_dims: Channels d of a head.
        order: 'yx' or 'xy': the coordinate that turns the first d / 2
            channels of a network.
        style: 'half' if that network pairs the channels m and m + d / 2,
            'interleaved' if it pairs 2 m and 2 m + 1.

    Returns:
        Indices of shape (d, ). With the rows of its queries and keys taken
        in this order, all products of queries and keys stay as they were.
    """
    quarter = head_dims // 4
    # (pairs, 2): the two channels of each pair, in the network's order
    pairs = torch.arange(head_dims)
    pairs = pairs.unflatten(0, (2, -1)).T if style == 'half' else \
        pairs.unflatten(0, (-1, 2))
    if order == 'xy':
        pairs = pairs.roll(quarter, dims=0)
    return pairs.T.flatten()
