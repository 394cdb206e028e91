"""The transformer block, with MAE's parameter names."""
from typing import Callable, Optional, Union

import torch
import torch.nn as nn
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .attention import Attention
from .mlp import Mlp
from .norm import build_norm


class DropPath(nn.Module):
    """Drop a branch for whole images (stochastic depth, arXiv 1603.09382).

    What is dropped is drawn in fp32, also under autocast: mmcv's DropPath
    draws in bf16, where a rate of 0.1 gives a mean of 0.997 instead of 1.

    Args:
        drop_prob: Probability of dropping, from 0 to less than 1.
    """

    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) -> (B, ...), scaled so that the mean stays."""
        if not self.training:
            return x
        # (B, 1, ..., 1)
        shape = (x.shape[0], ) + (1, ) * (x.dim() - 1)
        keep = torch.rand(shape, dtype=torch.float32,
                          device=x.device) >= self.drop_prob
        return x.div(1 - self.drop_prob) * keep

    def extra_repr(self) -> str:
        return f'drop_prob={self.drop_prob}'


class LayerScale(nn.Module):
    """A learned factor per channel (CaiT, arXiv 2103.17239)."""

    def __init__(self, embed_dims: int, init_value: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((embed_dims, ), init_value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    """A transformer block: attention inside groups, then an MLP.

    Args:
        embed_dims: Width C of the tokens.
        num_heads: Number of attention heads.
        feedforward_channels: Hidden width of the MLP.
        qkv_bias: Whether queries, keys and values have a bias, or 'qv'.
        norm_cfg: The normalisation, as mmcv's ``build_norm_layer`` takes it.
        layer_scale_init_value: Start of LayerScale; 0 omits it.
        drop_rate: Dropout of both branches.
        drop_path_rate: Probability of dropping a branch, per image.
        with_cp: Whether to keep no activations and recompute them in the
            backward pass.
        act: Activation of the MLP, as :class:`Mlp` takes it.
        bias: Whether the linear layers, but that of queries, keys and
            values, have a bias.
        attn_norm: Whether the attention has a norm inside.
        mlp_norm: Whether the MLP has a norm inside.
        post_norm: Whether the outputs of attention and MLP are normalised
            instead of their inputs (residual post-norm, as in Swin V2).
        qk_norm: Whether queries and keys are normalised, per head.
    """

    def __init__(self, embed_dims: int, num_heads: int,
                 feedforward_channels: int, qkv_bias: Union[bool, str],
                 norm_cfg: dict, layer_scale_init_value: float = 0.,
                 drop_rate: float = 0., drop_path_rate: float = 0.,
                 with_cp: bool = False, act: str = 'gelu', bias: bool = True,
                 attn_norm: bool = False, mlp_norm: bool = False,
                 post_norm: bool = False, qk_norm: bool = False) -> None:
        super().__init__()

        def layer_scale() -> nn.Module:
            if not layer_scale_init_value:
                return nn.Identity()
            return LayerScale(embed_dims, layer_scale_init_value)

        self.norm1 = build_norm(norm_cfg, embed_dims)
        self.attn = Attention(
            embed_dims, num_heads, qkv_bias, drop_rate, bias,
            norm_cfg if attn_norm else None, norm_cfg if qk_norm else None)
        self.ls1 = layer_scale()
        self.norm2 = build_norm(norm_cfg, embed_dims)
        self.mlp = Mlp(embed_dims, feedforward_channels, drop_rate, act, bias,
                       norm_cfg if mlp_norm else None)
        self.ls2 = layer_scale()
        self.drop_path = (
            DropPath(drop_path_rate) if drop_path_rate else nn.Identity())
        self.with_cp = with_cp
        self.post_norm = post_norm

    def forward(self, x: Tensor, key_mask: Optional[Tensor] = None,
                pool: Optional[Callable[[Tensor], Tensor]] = None,
                rope: Optional[Tensor] = None) -> Tensor:
        """Compute the block, and pool its tokens where that is wanted.

        The last linear layer follows the pooling, where there are fewer
        tokens, because ``pool(x + fc2(hidden)) == pool(x) +
        fc2(pool(hidden))`` for averages. LayerScale and branches dropped for
        whole images change nothing in this; dropout of single values does.

        Args:
            x: Tokens of shape (B, groups, tokens, C).
            key_mask: Which tokens may act as keys, as
                :meth:`TokenLayout.key_mask` makes it. Defaults to None: all.
            pool: An average of the tokens of an image, whatever their width:
                (B, groups, tokens, width) -> (B, ..., width). Defaults to
                None: no pooling. Not for ``post_norm``.
            rope: Rotary positions, as :class:`Attention` takes them. Defaults
                to None: there are none.

        Returns:
            Tokens of the shape of ``x``, or ``pool`` of them.
        """
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(self._forward, x, key_mask, pool, rope,
                              use_reentrant=False)
        return self._forward(x, key_mask, pool, rope)

    def _forward(self, x: Tensor, key_mask: Optional[Tensor],
                 pool: Optional[Callable[[Tensor], Tensor]],
                 rope: Optional[Tensor]) -> Tensor:
        if self.post_norm:
            x = x + self.drop_path(self.ls1(self.norm1(
                self.attn(x, key_mask, rope))))
            return x + self.drop_path(self.ls2(self.norm2(self.mlp(x))))
        x = x + self.drop_path(self.ls1(self.attn(self.norm1(x), key_mask,
                                                  rope)))
        hidden = self.mlp.hidden(self.norm2(x))
        if pool is not None:
            x, hidden = pool(x), pool(hidden)
        return x + self.drop_path(self.ls2(self.mlp.project(hidden)))
