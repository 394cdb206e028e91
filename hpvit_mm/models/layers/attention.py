"""Multi-head self-attention inside groups of tokens."""
from typing import Optional, Union

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .norm import build_norm
from .rotary import rotate


class Attention(nn.Module):
    """Self-attention inside each group, as in ViT (arXiv 2010.11929).

    Args:
        embed_dims: Width C of the tokens.
        num_heads: Number of heads.
        qkv_bias: Whether queries, keys and values have a bias; 'qv' for
            queries and values alone (BEiT, EVA, DINOv3). A bias of the keys
            changes nothing, unless they are normalised or rotated behind it.
        drop_rate: Dropout of the output.
        proj_bias: Whether the output has a bias.
        norm_cfg: A norm in front of the last layer, as in EVA-02-CLIP.
            Defaults to None: no norm.
        qk_norm_cfg: Norms of the queries and of the keys of each head
            (ViT-22B, arXiv 2302.05442), in front of a rotation. Defaults to
            None: no norms.
    """

    def __init__(self, embed_dims: int, num_heads: int,
                 qkv_bias: Union[bool, str] = True, drop_rate: float = 0.,
                 proj_bias: bool = True,
                 norm_cfg: Optional[dict] = None,
                 qk_norm_cfg: Optional[dict] = None) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims,
                             bias=qkv_bias is True)
        if qkv_bias == 'qv':
            self.q_bias = nn.Parameter(torch.zeros(embed_dims))
            self.v_bias = nn.Parameter(torch.zeros(embed_dims))
        else:
            self.q_bias = self.v_bias = None
        self.q_norm, self.k_norm = (
            build_norm(qk_norm_cfg, embed_dims // num_heads)
            if qk_norm_cfg else nn.Identity() for _ in range(2))
        self.norm = build_norm(norm_cfg, embed_dims) \
            if norm_cfg else nn.Identity()
        self.proj = nn.Linear(embed_dims, embed_dims, bias=proj_bias)
        self.drop = nn.Dropout(drop_rate)

    def forward(self, x: Tensor, key_mask: Optional[Tensor] = None,
                rope: Optional[Tensor] = None) -> Tensor:
        """Attend inside groups.

        Args:
            x: Tokens of shape (B, groups, tokens, C).
            key_mask: Boolean mask of shape (B * groups, 1, 1, tokens), False
                for padding. Defaults to None: there is none.
            rope: Cosines and sines of the rotary positions, of shape
                (2, B or 1, groups, tokens, heads or 1, d / 2). Defaults to
                None: queries and keys are not rotated.

        Returns:
            Tokens of shape (B, groups, tokens, C).
        """
        batch, groups, tokens, channels = x.shape
        if self.q_bias is None:
            qkv = self.qkv(x)
        else:
            qkv = F.linear(x, self.qkv.weight, torch.cat([
                self.q_bias, torch.zeros_like(self.q_bias), self.v_bias]))
        # (B, G, T, 3 * C) -> 3 of (B * G, T, heads, d) -> (B * G, heads, T, d)
        # Queries, keys and values must be 4-D: any other number of
        # dimensions falls off the fast kernels. They are split before they
        # are transposed, so that their gradients are stacked without a copy.
        q, k, v = qkv.reshape(
            batch * groups, tokens, 3, self.num_heads,
            channels // self.num_heads).unbind(2)
        # norms are computed in fp32 under autocast
        q, k = self.q_norm(q).to(v.dtype), self.k_norm(k).to(v.dtype)
        if rope is not None:
            # (B * G, T, heads, d) -> (B, G, T, heads, d), and back
            q, k = (rotate(one.unflatten(0, (batch, groups)), rope).flatten(
                0, 1) for one in (q, k))
        x = F.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2),
            attn_mask=key_mask)
        # (B * G, heads, T, d) -> (B * G, T, heads, d) -> (B, G, T, C)
        x = x.transpose(1, 2).reshape(batch, groups, tokens, channels)
        return self.drop(self.proj(self.norm(x)))
