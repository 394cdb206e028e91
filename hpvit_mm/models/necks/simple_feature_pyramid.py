"""Four levels from the one map of a plain backbone."""
import math
from typing import Optional, Sequence, Tuple

import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from hpvit_mm.errors import UserError
from hpvit_mm.registry import MODELS
from ..layers import LayerNorm2d


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """ViTDet's simple feature pyramid (arXiv 2203.16527, section 3).

    The last map of a plain ViT is up- and downsampled in parallel, and each
    level gets a 1x1 and a 3x3 convolution. There is no top-down path.

    Args:
        in_channels: Channels C of the map.
        out_channels: Channels of the levels. Defaults to 256.
        scale_factors: Size of each level relative to the map, finest first;
            each is 4, 2, 1 or 0.5. Defaults to (4, 2, 1, 0.5): levels at
            strides 4, 8, 16 and 32 for a ViT with patches of 16 pixels.
        num_outs: Number of levels that are returned. Those beyond
            ``scale_factors`` are halved copies of the last one, for the
            region proposals of Mask R-CNN. Defaults to
            ``len(scale_factors)``.
        init_cfg: Initialisation as in mmengine. Defaults to None.

    Raises:
        UserError: If a scale factor is not supported, if there are fewer
            outputs than levels, or (in ``forward``) if the backbone does not
            return exactly one map.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int = 256,
                 scale_factors: Sequence[float] = (4, 2, 1, 0.5),
                 num_outs: Optional[int] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.num_outs = num_outs or len(scale_factors)
        if self.num_outs < len(scale_factors):
            raise UserError(
                f'num_outs={num_outs} must be at least the number of scale '
                f'factors, {len(scale_factors)}.')
        self.levels = nn.ModuleList(
            self._level(in_channels, out_channels, factor)
            for factor in scale_factors)

    @staticmethod
    def _level(in_channels: int, out_channels: int,
               factor: float) -> nn.Sequential:
        """Resampling, then a 1x1 and a 3x3 convolution with norms."""
        if factor not in (4, 2, 1, 0.5):
            raise UserError('scale_factors may hold 4, 2, 1 and 0.5, but one '
                            f'of them is {factor}.')
        layers, channels = [], in_channels
        for step in range(int(math.log2(factor)) if factor > 1 else 0):
            if step:
                layers += [LayerNorm2d(channels, eps=1e-6), nn.GELU()]
            layers.append(nn.ConvTranspose2d(channels, channels // 2, 2, 2))
            channels //= 2
        if factor == 0.5:
            # ceil: odd maps keep their last row and column
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))
        layers += [
            nn.Conv2d(channels, out_channels, 1, bias=False),
            LayerNorm2d(out_channels, eps=1e-6),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            LayerNorm2d(out_channels, eps=1e-6),
        ]
        return nn.Sequential(*layers)

    def forward(self, inputs: Sequence[Tensor]) -> Tuple[Tensor, ...]:
        """Make the levels.

        Args:
            inputs: One map of shape (B, in_channels, H, W).

        Returns:
            ``num_outs`` maps of shape (B, out_channels, H_i, W_i), finest
            first.
        """
        if len(inputs) != 1:
            raise UserError(
                'SimpleFeaturePyramid takes one map, but the backbone returns '
                f'{len(inputs)}: it belongs behind a one-stage (plain) ViT; '
                'a hierarchical one needs no such neck.')
        # mmcv's RoIAlign reads any memory as NCHW: no channels-last views.
        outs = [level(inputs[0]).contiguous() for level in self.levels]
        while len(outs) < self.num_outs:
            outs.append(F.max_pool2d(outs[-1], kernel_size=1, stride=2))
        return tuple(outs)
