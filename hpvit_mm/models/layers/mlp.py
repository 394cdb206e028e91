"""The MLP of a transformer block."""
from typing import Optional

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .norm import build_norm


def quick_gelu(x: Tensor) -> Tensor:
    """The approximation of GELU in OpenAI's CLIP."""
    return x * torch.sigmoid(1.702 * x)


def gelu_tanh(x: Tensor) -> Tensor:
    """The approximation of GELU that is the default of JAX (SigLIP)."""
    return F.gelu(x, approximate='tanh')


def swiglu(x: Tensor) -> Tensor:
    """SiLU of the first half times the second (arXiv 2002.05202)."""
    gate, up = x.chunk(2, dim=-1)
    return F.silu(gate) * up


ACTIVATIONS = dict(gelu=F.gelu, gelu_tanh=gelu_tanh, quick_gelu=quick_gelu,
                   swiglu=swiglu)


class Mlp(nn.Module):
    """Two linear layers with an activation between them.

    Args:
        embed_dims: Width C of the tokens.
        feedforward_channels: Inputs of the second layer. The first one has
            as many outputs, or twice as many for 'swiglu': gate, then value.
        drop_rate: Dropout behind the activation and the second layer.
        act: 'gelu', 'gelu_tanh', 'quick_gelu' or 'swiglu'.
        bias: Whether the layers have a bias.
        norm_cfg: A norm in front of the second layer, as in EVA-02. Defaults
            to None: no norm.
    """

    def __init__(self, embed_dims: int, feedforward_channels: int,
                 drop_rate: float = 0., act: str = 'gelu', bias: bool = True,
                 norm_cfg: Optional[dict] = None) -> None:
        super().__init__()
        self.act = act
        self.fc1 = nn.Linear(
            embed_dims, feedforward_channels * (1 + (act == 'swiglu')),
            bias=bias)
        self.norm = build_norm(norm_cfg, feedforward_channels) \
            if norm_cfg else nn.Identity()
        self.fc2 = nn.Linear(feedforward_channels, embed_dims, bias=bias)
        self.drop = nn.Dropout(drop_rate)

    def hidden(self, x: Tensor) -> Tensor:
        """The input of the second layer."""
        return self.norm(self.drop(ACTIVATIONS[self.act](self.fc1(x))))

    def project(self, hidden: Tensor) -> Tensor:
        """The second layer."""
        return self.drop(self.fc2(hidden))

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.hidden(x))

    def extra_repr(self) -> str:
        return f'act={self.act!r}'
