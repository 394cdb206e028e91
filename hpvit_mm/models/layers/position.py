"""Absolute position embeddings: MAE's sine-cosine table, and resampling."""
from contextlib import nullcontext
from typing import ContextManager, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor


def sincos_pos_embed(embed_dims: int, grid: Tuple[int, int]) -> Tensor:
    """MAE's fixed two-dimensional sine-cosine table (arXiv 2111.06377).

    The first half of the channels encodes the column, the second half the
    row; each half is sines followed by cosines of the position at
    frequencies ``10000 ** -(k / (embed_dims / 4))``.

    Args:
        embed_dims: Width C of the tokens, a multiple of 4.
        grid: Tokens along the height and the width.

    Returns:
        A table of shape (1, H * W, C).
    """
    quarter = embed_dims // 4
    frequencies = 10000.**-(
        torch.arange(quarter, dtype=torch.float64) / quarter)
    rows, columns = torch.meshgrid(
        torch.arange(grid[0], dtype=torch.float64),
        torch.arange(grid[1], dtype=torch.float64), indexing='ij')
    # (H * W, 1) * (C/4,) -> (H * W, C/4)
    column_angles = columns.reshape(-1, 1) * frequencies
    row_angles = rows.reshape(-1, 1) * frequencies
    table = torch.cat([
        column_angles.sin(), column_angles.cos(),
        row_angles.sin(), row_angles.cos()
    ], dim=1)
    return table.float().unsqueeze(0)


def resample_pos_embed(pos_embed: Tensor, source: Tuple[int, int],
                       target: Tuple[int, int]) -> Tensor:
    """Resample a table to another grid: bicubic, no antialias, in fp32.

    This is what MAE, ViTDet and mmpretrain do. With ``align_corners=False``
    a table upsampled by 4 has its samples at the centres of the cells of
    stride 4, where :class:`PatchEmbed` puts its tokens.

    Args:
        pos_embed: Table of shape (1, h * w, C) on the grid ``source``.
        source: Tokens along the height and width of the table, (h, w).
        target: Tokens along the height and width of the result, (H, W).

    Returns:
        The table on the grid ``target``, of shape (1, H, W, C).
    """
    # (1, h * w, C) -> (1, h, w, C)
    table = pos_embed.unflatten(1, source)
    if tuple(source) == tuple(target):
        return table
    # As matmuls, because the gradient of an interpolation is slow, and not
    # deterministic on GPUs.
    with _without_autocast(table.device.type):
        table = table.to(torch.promote_types(table.dtype, torch.float32))
        rows, columns = (
            _bicubic(*sides, table) for sides in zip(source, target))
        # (H, h) x (1, h, w * C) -> (1, H, w * C) -> (1, H, w, C)
        table = (rows @ table.flatten(2)).unflatten(2, (source[1], -1))
        # (W, w) x (1, H, w, C) -> (1, H, W, C)
        return (columns @ table).to(pos_embed.dtype)


def _without_autocast(device: str) -> ContextManager:
    """Disable autocast, on devices that have it: the meta device has not."""
    if torch.amp.is_autocast_available(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


def _bicubic(source: int, target: int, like: Tensor) -> Tensor:
    """The matrix of a bicubic interpolation, (target, source)."""
    one = torch.eye(source, dtype=like.dtype, device=like.device)
    return F.interpolate(one[None, None], size=(target, source),
                         mode='bicubic', align_corners=False)[0, 0]
