"""Multi-head self-attention inside groups of tokens."""
from typing import Optional

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class Attention(nn.Module):
    """Self-attention inside each group, as in ViT (arXiv 2010.11929).

    Args:
        embed_dims: Width C of the tokens.
        num_heads: Number of heads.
        qkv_bias: Whether queries, keys and values have a bias.
        drop_rate: Dropout of the output.
    """

    def __init__(self, embed_dims: int, num_heads: int, qkv_bias: bool = True,
                 drop_rate: float = 0.) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims, bias=qkv_bias)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.drop = nn.Dropout(drop_rate)

    def forward(self, x: Tensor, key_mask: Optional[Tensor] = None) -> Tensor:
        """Attend inside groups.

        Args:
            x: Tokens of shape (B, groups, tokens, C).
            key_mask: Boolean mask of shape (B * groups, 1, 1, tokens), False
                for padding. Defaults to None: there is none.

        Returns:
            Tokens of shape (B, groups, tokens, C).
        """
        batch, groups, tokens, channels = x.shape
        # (B, G, T, 3 * C) -> 3 of (B * G, T, heads, d) -> (B * G, heads, T, d)
        # Queries, keys and values must be 4-D: any other number of
        # dimensions falls off the fast kernels. They are split before they
        # are transposed, so that their gradients are stacked without a copy.
        q, k, v = (one.transpose(1, 2) for one in self.qkv(x).reshape(
            batch * groups, tokens, 3, self.num_heads,
            channels // self.num_heads).unbind(2))
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=key_mask)
        # (B * G, heads, T, d) -> (B * G, T, heads, d) -> (B, G, T, C)
        x = x.transpose(1, 2).reshape(batch, groups, tokens, channels)
        return self.drop(self.proj(x))
