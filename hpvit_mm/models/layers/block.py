"""The transformer block, with MAE's parameter names."""
from typing import Optional, Tuple, Union

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks import DropPath
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .attention import Attention
from .token_layout import GroupAverage


class LayerScale(nn.Module):
    """A learned factor per channel (CaiT, arXiv 2103.17239)."""

    def __init__(self, embed_dims: int, init_value: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((embed_dims, ), init_value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, embed_dims: int, feedforward_channels: int,
                 drop_rate: float = 0.) -> None:
        super().__init__()
        self.fc1 = nn.Linear(embed_dims, feedforward_channels)
        self.fc2 = nn.Linear(feedforward_channels, embed_dims)
        self.drop = nn.Dropout(drop_rate)

    def hidden(self, x: Tensor) -> Tensor:
        """What the second layer gets."""
        return self.drop(F.gelu(self.fc1(x)))

    def project(self, hidden: Tensor) -> Tensor:
        """The second layer."""
        return self.drop(self.fc2(hidden))

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.hidden(x))


class Block(nn.Module):
    """A pre-norm transformer block: attention inside groups, then an MLP.

    Args:
        embed_dims: Width C of the tokens.
        num_heads: Number of attention heads.
        feedforward_channels: Hidden width of the MLP.
        qkv_bias: Whether queries, keys and values have a bias.
        norm_cfg: The normalisation, as mmcv's ``build_norm_layer`` takes it.
        layer_scale_init_value: Start of LayerScale; 0 leaves it out.
        drop_rate: Dropout of both branches.
        drop_path_rate: Probability of leaving a branch out, per image.
        with_cp: Whether to keep no activations and compute them again in the
            backward pass.
    """

    def __init__(self, embed_dims: int, num_heads: int,
                 feedforward_channels: int, qkv_bias: bool, norm_cfg: dict,
                 layer_scale_init_value: float = 0., drop_rate: float = 0.,
                 drop_path_rate: float = 0., with_cp: bool = False) -> None:
        super().__init__()

        def layer_scale() -> nn.Module:
            if not layer_scale_init_value:
                return nn.Identity()
            return LayerScale(embed_dims, layer_scale_init_value)

        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = Attention(embed_dims, num_heads, qkv_bias, drop_rate)
        self.ls1 = layer_scale()
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.mlp = Mlp(embed_dims, feedforward_channels, drop_rate)
        self.ls2 = layer_scale()
        self.drop_path = (
            DropPath(drop_path_rate) if drop_path_rate else nn.Identity())
        self.with_cp = with_cp

    def forward(self, x: Tensor, key_mask: Optional[Tensor] = None,
                average: Optional[GroupAverage] = None,
                hidden: Optional[Tensor] = None
                ) -> Union[Tensor, Tuple[Tensor, Tensor]]:
        """Compute the block, and the average of its tokens if that is wanted.

        The last linear layer comes behind the average then, where there are
        fewer tokens, because ``average(x + fc2(hidden)) == average(x) +
        fc2(average(hidden))``. LayerScale and branches that are left out for
        whole images change nothing in this; dropout of single values does.

        A compiled block does not average: it would be compiled for each size
        of the images. It returns what is to be averaged instead, and is
        called once more, with the averages.

        Args:
            x: Tokens of shape (B, groups, tokens, C).
            key_mask: Which tokens may act as keys, (groups, tokens).
            average: What to average; None for the tokens themselves.
            hidden: In the second call of a compiled block, the averages of
                the hidden tokens, (..., feedforward channels); ``x`` are
                those of the tokens then, (..., C).

        Returns:
            Tokens of the shape of ``x``, or averages of them; in the first
            call of a compiled block that averages, the tokens and the hidden
            ones.
        """
        if hidden is not None:
            return self._finish(x, hidden)
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(self._forward, x, key_mask, average,
                              use_reentrant=False)
        return self._forward(x, key_mask, average)

    def _forward(self, x: Tensor, key_mask: Optional[Tensor],
                 average: Optional[GroupAverage]
                 ) -> Union[Tensor, Tuple[Tensor, Tensor]]:
        x = x + self.drop_path(self.ls1(self.attn(self.norm1(x), key_mask)))
        hidden = self.mlp.hidden(self.norm2(x))
        if average is None:
            return self._finish(x, hidden)
        if torch.compiler.is_compiling():
            return x, hidden
        return self._finish(average(x), average(hidden))

    def _finish(self, x: Tensor, hidden: Tensor) -> Tensor:
        return x + self.drop_path(self.ls2(self.mlp.project(hidden)))
