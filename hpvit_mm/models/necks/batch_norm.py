"""Batch normalisation of maps, in front of a linear head."""
from typing import Sequence, Tuple

from mmengine.model import BaseModule
from torch import Tensor, nn

from hpvit_mm.registry import MODELS
from ..layers.norm import build_norm


@MODELS.register_module()
class BatchNormNeck(BaseModule):
    """Normalise each map over the batch, as DINOv2's linear probing does.

    The same as the batch normalisation behind the concatenation of the maps
    in DINOv2's segmentation head, which normalises each channel alone.

    Args:
        in_channels: Channels of each map.
        norm_cfg: The norm. Defaults to SyncBN.
        init_cfg: Initialisation as in mmengine. Defaults to None.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 norm_cfg: dict = dict(type='SyncBN'),
                 init_cfg: dict = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.norms = nn.ModuleList(
            build_norm(norm_cfg, channels)
            for channels in in_channels)

    def forward(self, inputs: Sequence[Tensor]) -> Tuple[Tensor, ...]:
        """Normalise maps of shape (B, in_channels[i], H_i, W_i)."""
        return tuple(norm(one) for norm, one in zip(
            self.norms, inputs, strict=True))
