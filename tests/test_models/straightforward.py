"""HPViT as one would write it down, step by step and slowly.

The package does the same faster; here nothing is rearranged, so that each line
can be read against the definition.
"""
import math

import torch
import torch.nn.functional as F

from hpvit_mm.models.layers import ConvPooling, TokenLayout


def forward(model, x):
    """The outputs of an HPViT without prefix tokens, (B, C, H, W) each."""
    stride = model.patch_embed.stride
    x = F.pad(x, (0, -x.shape[-1] % stride, 0, -x.shape[-2] % stride))
    x = model.patch_embed.proj(x).permute(0, 2, 3, 1)  # (B, H, W, C)
    # (1, h * w, C) -> (1, C, h, w) -> (1, C, H, W) -> (1, H, W, C)
    x = x + F.interpolate(
        model.pos_embed.unflatten(1, model.pos_grid).permute(0, 3, 1, 2),
        size=tuple(x.shape[1:3]), mode='bicubic').permute(0, 2, 3, 1)
    x = model.norm_pre(x)
    outs = []
    blocks = iter(model.blocks)
    for stage, kinds in enumerate(model.attention[:len(model.pools) + 1]):
        if stage:
            x = pool(model.pools[stage - 1], x)
        for kind in kinds:
            block = next(blocks)
            layout = TokenLayout.create(
                kind, tuple(x.shape[1:3]),
                max(1, model.patch_size // model.strides[stage]),
                model.window_size)
            x = x + block.drop_path(block.ls1(
                attend(block.attn, block.norm1(x), layout)))
            hidden = F.gelu(block.mlp.fc1(block.norm2(x)))
            x = x + block.drop_path(block.ls2(block.mlp.fc2(hidden)))
        if stage in model.out_indices:
            norm = model.norms[str(stage)]
            outs.append(norm(x.mean(dim=(1, 2)))
                        if model.out_type == 'avg_featmap'
                        else norm(x).permute(0, 3, 1, 2))
    return tuple(outs)


def attend(attn, x, layout):
    """Softmax attention inside of groups, (B, H, W, C) -> the same."""
    qkv = layout.group(attn.qkv(x))  # (B, G, T, 3 * C)
    # (B, G, T, 3 * C) -> 3 of (B, G, heads, T, d)
    q, k, v = qkv.unflatten(-1, (3, attn.num_heads, -1)).permute(
        3, 0, 1, 4, 2, 5)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    real = layout.group(torch.ones(1, *layout.grid, 1, dtype=torch.bool))
    # (1, G, T, 1) -> (1, G, 1, 1, T)
    real = real.permute(0, 1, 3, 2).unsqueeze(2)
    real = real | ~real.any(dim=-1, keepdim=True)
    scores = scores.masked_fill(~real, -math.inf)
    # (B, G, heads, T, d) -> (B, G, T, C) -> (B, H, W, C)
    x = (scores.softmax(dim=-1) @ v).transpose(2, 3).flatten(3)
    return attn.proj(layout.ungroup(x))


def pool(pooling, x):
    """Halve a map (B, H, W, C); an odd last row or column is repeated."""
    x = x.permute(0, 3, 1, 2)
    x = F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2), mode='replicate')
    x = F.conv2d(x, pooling.weight, pooling.bias, stride=2) if isinstance(
        pooling, ConvPooling) else F.avg_pool2d(x, 2)
    return x.permute(0, 2, 3, 1)
