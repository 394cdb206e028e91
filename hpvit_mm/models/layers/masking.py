"""Selection of the visible parts of masked images."""
import torch
from torch import Tensor

from hpvit_mm.errors import UserError


def check_sides(x: Tensor, unit: int) -> None:
    """Raise a UserError if images (B, C, H, W) have no whole mask units."""
    sides = tuple(x.shape[-2:])
    if any(side % unit for side in sides):
        raise UserError(
            'masked images must have sides that are multiples of the mask '
            f'unit of {unit} pixels, but theirs are {sides}: crop them '
            'accordingly.')


def visible_units(mask: Tensor, grid, device: torch.device) -> Tensor:
    """Return which units of masked images are visible.

    Args:
        mask: Boolean mask of shape (B, h, w), True where a unit is hidden.
            A mask on the CPU spares a GPU's queue the wait for its values.
        grid: Units along the height and the width that the images have.
        device: The device of the result.

    Returns:
        Numbers of the units in raster order, ascending, of shape (B, V).

    Raises:
        UserError: If the mask does not fit the images, if images have
            different numbers of visible units, or if one has none.
    """
    if tuple(mask.shape[1:]) != tuple(grid) or mask.dtype != torch.bool:
        raise UserError(
            f'the mask has shape {tuple(mask.shape)} and type {mask.dtype}, '
            f'but the images have {tuple(grid)} mask units: give a boolean '
            f'mask of shape (B, {grid[0]}, {grid[1]}), True where hidden.')
    hidden = mask.flatten(1)
    counts = (~hidden).sum(dim=1)
    visible = int(counts[0])
    if not visible or (counts != visible).any():
        raise UserError(
            'all images of a batch must have the same number of visible mask '
            f'units, at least 1, but they have {counts.tolist()}: hide fewer '
            'units, or as many in each image.')
    # False goes before True, and a stable sort keeps the raster order
    index = hidden.byte().argsort(dim=1, stable=True)[:, :visible]
    return index.to(device, non_blocking=True)


def select_units(x: Tensor, index: Tensor) -> Tensor:
    """(B, N, ...) and (B, V) -> (B, V, ...), the units of the index."""
    index = index.reshape(*index.shape, *(1, ) * (x.dim() - 2))
    return x.gather(1, index.expand(-1, -1, *x.shape[2:]))


def image_units(x: Tensor, unit: int) -> Tensor:
    """Cut images (B, C, h * unit, w * unit) into (B, h * w, C, unit, unit)."""
    # -> (B, C, h, unit, w, unit) -> (B, h, w, C, unit, unit)
    return x.unflatten(3, (-1, unit)).unflatten(2, (-1, unit)).permute(
        0, 2, 4, 1, 3, 5).flatten(1, 2)
