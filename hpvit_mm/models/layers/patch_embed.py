"""The linear embedding of patches, with a stride of its own."""
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class PatchEmbed(nn.Module):
    """Embed overlapping patches: the kernel is pre-trained, the stride new.

    The padding of ``(patch_size - patch_stride) / 2`` puts the centre of each
    token on the centre of its ``patch_stride`` wide cell. The image is padded
    with zeros on the right and at the bottom to whole cells, so that H and W
    need not be multiples of anything.

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

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, ceil(H/stride), ceil(W/stride), C)"""
        bottom = -x.shape[-2] % self.stride
        right = -x.shape[-1] % self.stride
        if bottom or right:
            x = F.pad(x, (0, right, 0, bottom))
        return self.proj(x).permute(0, 2, 3, 1)
