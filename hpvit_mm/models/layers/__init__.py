from .attention import Attention
from .block import Block
from .mlp import Mlp
from .norm import LayerNorm2d, RMSNorm
from .patch_embed import PatchEmbed
from .pooling import AvgPooling, ConvPooling
from .position import resample_pos_embed, sincos_pos_embed
from .rotary import Rotary, channel_order
from .token_layout import (TokenLayout, pool_groups, pool_places, pool_tokens,
                           regroup)

__all__ = [
    'Attention', 'AvgPooling', 'Block', 'ConvPooling', 'LayerNorm2d', 'Mlp',
    'PatchEmbed', 'RMSNorm', 'Rotary', 'TokenLayout', 'channel_order',
    'pool_groups', 'pool_places', 'pool_tokens', 'regroup',
    'resample_pos_embed', 'sincos_pos_embed'
]
