"""The transformer block, with MAE's parameter names."""
from typing import Optional, Sequence, Tuple, Union

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks import DropPath
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .attention import Attention

# How many tokens a block works on at once on a CPU without gradients. From
# 512 to 4,096 it makes little difference.
TOKENS_AT_ONCE = 1024


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
                unfinished: bool = False, hidden: Optional[Tensor] = None
                ) -> Union[Tensor, Tuple[Tensor, Tensor]]:
        """Compute the block, at once or in two calls.

        In two calls what lies between them can be averaged, because
        ``average(x + fc2(hidden)) == average(x) + fc2(average(hidden))``: a
        linear layer may as well come after an average, when there are fewer
        tokens. LayerScale and branches that are left out for whole images
        change nothing in this; dropout of single values does.

        Args:
            x: Tokens of shape (B, groups, tokens, C).
            key_mask: Which tokens may act as keys, (groups, tokens).
            unfinished: Whether to stop before the last linear layer.
            hidden: In the second call, the hidden tokens of the first, (...,
                feedforward channels); ``x`` is of shape (..., C) then.

        Returns:
            Tokens of the shape of ``x``; unfinished, they and the hidden
            ones.
        """
        if hidden is not None:
            return self._finish(x, hidden)
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(self._forward, x, key_mask, unfinished,
                              use_reentrant=False)
        if x.is_cpu and not (self.training or torch.is_grad_enabled() or
                             torch.compiler.is_compiling()):
            return self._in_parts(x, key_mask, unfinished)
        return self._forward(x, key_mask, unfinished)

    def _in_parts(self, x: Tensor, key_mask: Optional[Tensor],
                  unfinished: bool) -> Union[Tensor, Tuple[Tensor, Tensor]]:
        """The same for a few groups at a time.

        What is computed in between is several times as large as the tokens;
        on a CPU it is faster to do so in memory that was just in use than in
        new memory. A group's result depends on that group alone.
        """
        batch, groups, tokens, _ = x.shape
        count = max(1, TOKENS_AT_ONCE // tokens)
        if batch * groups <= count:
            return self._forward(x, key_mask, unfinished)
        # (B, G, T, C) -> parts of (1, B * G, T, C)
        parts = x.flatten(0, 1).unsqueeze(0).split(count, dim=1)
        masks = [None] * len(parts) if key_mask is None else key_mask.repeat(
            batch, 1).split(count)
        outs = [self._forward(part, mask, unfinished)
                for part, mask in zip(parts, masks)]

        def join(parts: Sequence[Tensor]) -> Tensor:
            return torch.cat(tuple(parts), dim=1).unflatten(
                1, (batch, groups)).squeeze(0)

        return tuple(map(join, zip(*outs))) if unfinished else join(outs)

    def _forward(self, x: Tensor, key_mask: Optional[Tensor],
                 unfinished: bool) -> Union[Tensor, Tuple[Tensor, Tensor]]:
        x = x + self.drop_path(self.ls1(self.attn(self.norm1(x), key_mask)))
        hidden = self.mlp.hidden(self.norm2(x))
        return (x, hidden) if unfinished else self._finish(x, hidden)

    def _finish(self, x: Tensor, hidden: Tensor) -> Tensor:
        return x + self.drop_path(self.ls2(self.mlp.project(hidden)))
