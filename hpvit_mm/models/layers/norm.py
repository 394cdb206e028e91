"""Layer normalisation of feature maps."""
import torch.nn as nn
from torch import Tensor


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of a map (B, C, H, W).

    It normalises a channels-last view and returns a map whose memory is
    channels-last: several times faster than writing the statistics out in
    NCHW, and the next convolution takes it as it is.
    """

    def forward(self, x: Tensor) -> Tensor:
        # (B, C, H, W) -> (B, H, W, C) -> (B, C, H, W)
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
