"""2x2 pooling between stages.

A pooling layer gets a picture of 'places', each with a row of tokens of its
own: what is pooled are the four tokens at one position of the rows of four
neighbouring places. What a place is depends on how the tokens are laid out.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class AvgPooling(nn.Module):
    """The average of the four neighbours; it has no parameters."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, tokens, C) -> (B, H / 2, W / 2, tokens, C)"""
        # First along the height, then along the width. Slices would fill
        # gradients of full size with zeros, avg_pool2d would keep its input.
        # (B, H, W, T, C) -> 2 of (B, H / 2, W, T, C)
        top, bottom = x.unflatten(1, (-1, 2)).unbind(2)
        # (B, H / 2, W, T, C) -> 2 of (B, H / 2, W / 2, T, C)
        left, right = (top + bottom).unflatten(2, (-1, 2)).unbind(3)
        return (left + right).mul_(0.25)


class ConvPooling(nn.Conv2d):
    """A 2x2 convolution with stride 2 that starts as the average.

    ``weight[c, c] = 1/4`` and zero elsewhere: the pre-trained features are
    undisturbed at the start, and the convolution learns from there.
    """

    def __init__(self, embed_dims: int) -> None:
        super().__init__(embed_dims, embed_dims, kernel_size=2, stride=2)

    def reset_parameters(self) -> None:
        with torch.no_grad():
            self.weight.zero_()
            self.weight.diagonal().fill_(0.25)
            self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, tokens, C) -> (B, H / 2, W / 2, tokens, C)"""
        # (B, H, W, T, C) -> (B, H / 2, 2, W / 2, 2, T, C)
        #                 -> (B, H / 2, W / 2, T, 2, 2, C) -> (..., 4 * C)
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).permute(
            0, 1, 3, 5, 2, 4, 6).flatten(4)
        # (C_out, C_in, 2, 2) -> (C_out, 2, 2, C_in) -> (C_out, 4 * C_in)
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)
        # In autocast the sum of the blocks stays in fp32 for the next ones.
        return F.linear(x, weight, self.bias).to(x.dtype)
