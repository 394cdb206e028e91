"""The linear embedding of overlapping patches."""
from typing import Optional, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .token_layout import TokenLayout


class PatchEmbed(nn.Module):
    """Embed overlapping patches: the kernel is pre-trained, the stride new.

    The padding of ``(patch_size - patch_stride) / 2`` puts the centre of each
    token on the centre of its ``patch_stride`` wide cell. The image is padded
    with zeros on the right and at the bottom to whole cells, and to whole
    windows, so that H and W need not be multiples of anything.

    Args:
        in_channels: Channels of the image.
        embed_dims: Width C of the tokens.
        patch_size: Side of the kernel in pixels.
        patch_stride: Distance of neighbouring tokens in pixels.
    """

    def __init__(self, in_channels: int, embed_dims: int, patch_size: int,
                 patch_stride: int) -> None:
        super().__init__()
        self.stride = patch_stride
        self.proj = nn.Conv2d(
            in_channels, embed_dims, patch_size, stride=patch_stride,
            padding=(patch_size - patch_stride) // 2)

    def grid(self, x: Tensor) -> Tuple[int, int]:
        """Tokens along the height and the width of images (B, C, H, W)."""
        return tuple(-(-side // self.stride) for side in _sides(x))

    def forward(self, x: Tensor, layout: TokenLayout,
                visible: Optional[Tensor] = None) -> Tensor:
        """Embed the patches, in the order of a layout.

        One matmul over strided rows of pixels, which writes the tokens where
        they belong: a convolution writes them in raster order, channels
        first, and they would be moved twice.

        Args:
            x: Images of shape (B, in_channels, H, W).
            layout: Where the tokens of :meth:`grid` belong. Tokens of its
                padding are those of an image padded with zeros.
            visible: Places (y, x) in the groups of the tokens to embed, of
                shape (2, B, V), in a layout without windows. Defaults to
                None: all.

        Returns:
            Tokens of shape (B, groups, tokens, C), or (B, groups, V, C).
        """
        if torch.is_grad_enabled() and self.proj.weight.requires_grad:
            # The rows are 16 times as large as the image at stride 4, and
            # quickly gathered again for the gradient of the weight.
            return checkpoint(self._embed, x, layout, visible,
                              use_reentrant=False, preserve_rng_state=False)
        return self._embed(x, layout, visible)

    def _embed(self, x: Tensor, layout: TokenLayout,
               visible: Optional[Tensor]) -> Tensor:
        """(B, in_channels, H, W) -> (B, groups, tokens, C)"""
        around, stride = self.proj.padding[0], self.stride
        bottom, right = (cells * stride - side for cells, side in zip(
            layout.padded_grid, _sides(x)))
        # (B, in, H, W) -> (B, H', W', in)
        x = F.pad(x, (around, right + around, around, bottom + around))
        x = x.permute(0, 2, 3, 1).contiguous()
        batch, _, _, channels = x.shape
        image, row, pixel, _ = x.stride()
        kernel = self.proj.kernel_size[0]
        down, across = stride * row, stride * pixel
        (dy, dx), (ny, nx), (h, w) = (
            layout.dilation, layout.windows, layout.size)
        # (B, dy, dx, ny, nx, h, w, kernel, kernel * in), without a copy
        patches = x.as_strided(
            (batch, dy, dx, ny, nx, h, w, kernel, kernel * channels),
            (image, down, across, h * dy * down, w * dx * across, dy * down,
             dx * across, row, 1))
        if visible is not None:
            # (B, dy, dx, 1, 1, h, w, ...) -> (B, h, w, dy, dx, ...)
            #                              -> (B, V, dy, dx, ...), a copy
            #                              -> (B, dy, dx, V, ...)
            patches = patches[:, :, :, 0, 0].permute(0, 3, 4, 1, 2, 5, 6)[
                torch.arange(batch, device=x.device)[:, None], visible[0],
                visible[1]].permute(0, 2, 3, 1, 4, 5)
        # with a copy (B, G, T, kernel * kernel * in)
        tokens = h * w if visible is None else visible.shape[2]
        patches = patches.reshape(batch, layout.num_groups, tokens,
                                  kernel * kernel * channels)
        # (C, in, kernel, kernel) -> (C, kernel * kernel * in)
        weight = self.proj.weight.permute(0, 2, 3, 1).flatten(1)
        return F.linear(patches, weight, self.proj.bias)


def _sides(x: Tensor) -> Tuple[int, int]:
    """Height and width as numbers, also where torch traces for ONNX.

    What is computed from traced sizes reaches every reshape of a layout, and
    the shape inference of ``torch.onnx.export(dynamo=False)`` then divides by
    zero.
    """
    return tuple(torch.sym_int(side) for side in x.shape[-2:])
