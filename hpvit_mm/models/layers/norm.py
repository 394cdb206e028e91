"""Layer normalisation of feature maps."""
import torch.nn as nn
from torch import Tensor

from hpvit_mm.registry import MODELS


@MODELS.register_module()
class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of a map (B, C, H, W).

    For mmcv's ``norm_cfg=dict(type='hpvit_mm.LayerNorm2d', eps=1e-6)`` too.
    It is the LN in the heads of ViTDet (detectron2). GroupNorm with one group
    is another norm: it has one mean for all channels *and positions*.

    It normalises a channels-last view, several times faster than statistics
    computed in NCHW, and returns one. Convolutions take it as it is; mmcv's
    ops need a contiguous copy.
    """

    def forward(self, x: Tensor) -> Tensor:
        # (B, C, H, W) -> (B, H, W, C) -> (B, C, H, W)
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
