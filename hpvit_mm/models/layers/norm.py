"""Norms that torch lacks: LayerNorm of feature maps, and RMSNorm."""
import torch
import torch.nn as nn
from torch import Tensor

from hpvit_mm.registry import MODELS

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d,
               nn.SyncBatchNorm)


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


@MODELS.register_module()
class RMSNorm(nn.Module):
    """Division by the root mean square of the last dimension.

    From arXiv 1910.07467, for ``norm_cfg=dict(type='hpvit_mm.RMSNorm',
    eps=1e-5)``. torch has one since 2.4. Statistics are computed in fp32.

    Args:
        num_features: Size of the last dimension.
        eps: Added to the mean square.
    """

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)"""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        scale = wide.square().mean(dim=-1, keepdim=True).add(self.eps).rsqrt()
        return (wide * scale).to(x.dtype) * self.weight

    def extra_repr(self) -> str:
        return f'{len(self.weight)}, eps={self.eps}'


def build_norm(norm_cfg: dict, width: int) -> nn.Module:
    """Build a norm from its config.

    LayerNorm and the norms of this package need no mmcv, so that the
    backbones do not; mmcv builds all others.

    Args:
        norm_cfg: As for mmcv's ``build_norm_layer``, such as ``dict(type='LN',
            eps=1e-6)``.
        width: Number of channels.
    """
    cfg = dict(norm_cfg)
    name = str(cfg.pop('type', None))
    kind = nn.LayerNorm if name == 'LN' else \
        MODELS.get(name) if name.startswith('hpvit_mm.') else None
    if kind is None:
        from mmcv.cnn import build_norm_layer
        return build_norm_layer(norm_cfg, width)[1]
    trained = cfg.pop('requires_grad', True)
    return kind(width, **dict(dict(eps=1e-5), **cfg)).requires_grad_(trained)
