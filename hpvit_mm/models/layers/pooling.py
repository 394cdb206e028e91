"""2x2 pooling between stages.

A pooling layer halves the height and the width of a map of tokens, or of
groups of tokens, of which those at one place are then pooled.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class AvgPooling(nn.Module):
    """The average of the four neighbours; it has no parameters."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, ..., C) -> (B, H / 2, W / 2, ..., C)"""
        # First along the height, then along the width. Slices would fill
        # gradients of full size with zeros, avg_pool2d would keep its input.
        # (B, H, W, ..., C) -> 2 of (B, H / 2, W, ..., C)
        top, bottom = x.unflatten(1, (-1, 2)).unbind(2)
        # (B, H / 2, W, ..., C) -> 2 of (B, H / 2, W / 2, ..., C)
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
        """(B, H, W, ..., C) -> (B, H / 2, W / 2, ..., C)"""
        # (B, H, W, ..., C) -> (B, H / 2, 2, W / 2, 2, ..., C)
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
        # -> (B, H / 2, W / 2, ..., 2, 2, C) -> (B, H / 2, W / 2, ..., 4 * C)
        x = x.movedim((2, 4), (-3, -2)).flatten(-3)
        # (C_out, C_in, 2, 2) -> (C_out, 2, 2, C_in) -> (C_out, 4 * C_in)
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)
        # Under autocast the residual stream stays in fp32.
        return F.linear(x, weight, self.bias).to(x.dtype)
