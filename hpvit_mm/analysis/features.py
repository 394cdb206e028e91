"""Principal components of features as colours, and maps of attention."""
from typing import Dict, List, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from hpvit_mm.models import HPViT
from hpvit_mm.models.layers import TokenLayout


def pca_colours(maps: Sequence[Tensor]) -> List[Tensor]:
    """Colours of feature maps by their first three principal components.

    The components are common to all maps, so that a colour means the same in
    each; the mean of each map is subtracted before.

    Args:
        maps: Maps (C, H_i, W_i) of one width.

    Returns:
        Images (H_i, W_i, 3) with values from 0 to 1.
    """
    centred = []
    for one in maps:
        # (C, H, W) -> (H * W, C)
        tokens = one.double().flatten(1).T
        centred.append(tokens - tokens.mean(dim=0))
    # each map counts the same, however many tokens it has
    covariance = sum(one.T @ one / len(one) for one in centred)
    _, vectors = torch.linalg.eigh(covariance)
    components = vectors[:, -3:].flip(1)
    # the sign of an eigenvector means nothing: make it the same each time
    largest = components.abs().argmax(dim=0)
    components = components * components[largest, range(3)].sign()
    result = []
    for one, tokens in zip(maps, centred):
        colours = tokens @ components
        low, high = colours.quantile(torch.tensor(
            [0.01, 0.99], dtype=colours.dtype), dim=0)
        colours = ((colours - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)
        # (H * W, 3) -> (H, W, 3)
        result.append(colours.unflatten(0, one.shape[1:]).float())
    return result


class _Calls(TorchFunctionMode):
    """Keeps queries, keys and masks of the attention computed in it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            self.calls.append((args[0], args[1], kwargs.get('attn_mask')))
        return func(*args, **kwargs)


@torch.no_grad()
def attention_from(backbone: HPViT, image: Tensor, point: Tuple[int, int]
                   ) -> Dict[int, Tuple[str, Tensor]]:
    """Attention of the token at a point, in each block.

    Args:
        backbone: The backbone, in eval mode.
        image: A normalised image (1, 3, H, W).
        point: Row and column in pixels.

    Returns:
        Block -> kind of attention, and weights (H_i, W_i): the mean over the
        heads, NaN where a token is not in the group of the query.
    """
    with _Calls() as record:
        backbone(image)
    result, calls = {}, iter(record.calls)
    number = 0
    for stage, stride in zip(range(len(backbone.stages)), backbone.strides):
        grid = tuple(-(-side // stride) for side in image.shape[-2:])
        for kind in backbone.attention[stage]:
            if number == len(backbone.blocks):
                return result
            layout = TokenLayout.create(
                kind, grid, max(1, backbone.patch_size // stride),
                backbone.window_size)
            cell = tuple(min(at // stride, side - 1)
                         for at, side in zip(point, grid))
            result[number] = kind, _weights(
                *next(calls), layout, cell, backbone.num_prefix)
            number += 1
    return result


def _weights(q: Tensor, k: Tensor, mask, layout: TokenLayout,
             cell: Tuple[int, int], num_prefix: int) -> Tensor:
    """The weights of one query on the grid; see :func:`attention_from`."""
    height, width = layout.grid
    # (H * W,) -> (1, H, W, 1) -> (G, T); 0 is padding
    index = layout.group(torch.arange(1, height * width + 1).reshape(
        1, height, width, 1))[0, :, :, 0]
    group, place = (index == cell[0] * width + cell[1] + 1).nonzero()[0]
    # (G, heads, P + T, d) -> (heads, d) and (heads, P + T, d)
    query, keys = q[group, :, num_prefix + place], k[group]
    scores = torch.einsum('hd,htd->ht', query, keys) * q.shape[-1]**-0.5
    if mask is not None:
        # (G, 1, 1, P + T) -> (1, P + T)
        scores = scores.masked_fill(~mask[group, 0], -torch.inf)
    weights = scores.softmax(dim=-1).mean(dim=0)[num_prefix:]
    result = torch.full((height * width + 1, ), torch.nan)
    result[index[group]] = weights.float()
    # (1 + H * W,) -> (H, W)
    return result[1:].unflatten(0, layout.grid)
