"""2x2 pooling between stages.

A pooling layer gets the four neighbours of each new token as four tensors of
one shape, so that it does not depend on how the tokens are laid out.
"""
from typing import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class AvgPooling(nn.Module):
    """The average of the four neighbours; it has no parameters."""

    def forward(self, neighbours: Sequence[Tensor]) -> Tensor:
        """Four tensors (..., C) -> (..., C)"""
        top_left, top_right, bottom_left, bottom_right = neighbours
        total = top_left + top_right
        return total.add_(bottom_left).add_(bottom_right).mul_(0.25)


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

    def forward(self, neighbours: Sequence[Tensor]) -> Tensor:
        """Four tensors (..., C) -> (..., C)"""
        # (C_out, C_in, 2, 2) -> (C_out, 2, 2, C_in) -> (C_out, 4 * C_in)
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)
        return F.linear(torch.cat(tuple(neighbours), dim=-1), weight,
                        self.bias)
