"""Weights for patches and images other than those of the pre-training."""
from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hpvit_mm.errors import UserError

KERNEL_METHODS = ('pinv', 'enlarge', 'bilinear', 'pad')


def resample_patch_kernel(weight: Tensor, size: Tuple[int, int],
                          method: str = 'pinv') -> Tensor:
    """Make the kernel of a patch embedding for patches of another size.

    Args:
        weight: Kernel of shape (C, in_channels, h, w).
        size: Height and width that are wanted, (H, W), in pixels.
        method: 'pinv' solves for the kernel whose response to a resized patch
            is that of the old kernel to the patch itself, exactly so when
            patches grow (FlexiViT, arXiv 2212.08013, equation 5). 'enlarge'
            responds to a patch as the old kernel does to this patch resized
            to the old size, as if the image were enlarged. 'bilinear'
            resizes the kernel as an image, scaled by the ratio of the areas.
            'pad' puts zeros around it: the same tokens from the same pixels;
            only for patches that grow.

    Returns:
        Kernel of shape (C, in_channels, H, W).

    Raises:
        UserError: If the method is unknown, or 'pad' and the patch shrinks.
    """
    old, new = tuple(weight.shape[-2:]), tuple(size)
    if method not in KERNEL_METHODS:
        raise UserError(f'patch_resize must be one of {KERNEL_METHODS}, but '
                        f'it is {method!r}.')
    if old == new:
        return weight
    if method == 'pad':
        bottom, right = new[0] - old[0], new[1] - old[1]
        if min(bottom, right) < 0:
            raise UserError(f"patch_resize='pad' cannot shrink a kernel of "
                            f"{old} to {new}: use 'pinv' or 'bilinear'.")
        top, left = bottom // 2, right // 2
        return F.pad(weight, (left, right - left, top, bottom - top))
    if method == 'bilinear':
        resized = _resize(weight.float(), new)
        return (resized * (old[0] * old[1] / (new[0] * new[1]))).to(weight)
    if method == 'enlarge':
        # (H * W, 1, H, W) -> (H * W, 1, h, w) -> (H * W, h * w)
        enlarge_t = _resize(
            torch.eye(new[0] * new[1]).reshape(-1, 1, *new), old).flatten(1)
        # (C, in, h * w) @ (h * w, H * W) -> (C, in, H * W) -> (C, in, H, W)
        kernel = weight.flatten(2).float() @ enlarge_t.T
        return kernel.unflatten(2, new).to(weight)
    # A patch x (h * w) becomes resize @ x (H * W). That the new kernel answers
    # to it as the old one to x means: resize.T @ new = old.
    pixels = old[0] * old[1]
    # (h * w, 1, h, w) -> (h * w, 1, H, W) -> (h * w, H * W)
    resize_t = _resize(
        torch.eye(pixels, dtype=torch.float64).reshape(pixels, 1, *old),
        new).flatten(1)
    # (C, in, h * w) @ (h * w, H * W) -> (C, in, H * W) -> (C, in, H, W)
    kernel = weight.flatten(2).double() @ torch.linalg.pinv(resize_t).T
    return kernel.unflatten(2, new).to(weight)


def _resize(images: Tensor, size: Tuple[int, int]) -> Tensor:
    return F.interpolate(images, size=size, mode='bilinear',
                         align_corners=False, antialias=True)


def adapt_in_channels(weight: Tensor, in_channels: int) -> Tensor:
    """Make the kernel of a patch embedding for fewer or more channels.

    One channel gets the sum of all, which is exact for a grey image. Others
    get the old ones in turn, scaled so that equal channels give about the
    same response (exactly, where one number is a multiple of the other).

    Args:
        weight: Kernel of shape (C, old channels, H, W).
        in_channels: Number of channels that is wanted.

    Returns:
        Kernel of shape (C, in_channels, H, W).
    """
    old = weight.shape[1]
    if in_channels == old:
        return weight
    if in_channels == 1:
        return weight.sum(dim=1, keepdim=True)
    order = torch.arange(in_channels) % old
    return weight[:, order] * (old / in_channels)
