"""What a training keeps for its backward pass, in bf16 autocast on a GPU.

By formula; benchmark/memory.py measures it. docs/model_zoo.md compares them.
Without dropout, LayerScale and the norm before the first block.
"""
from typing import Iterator, Tuple

from torch import nn

from hpvit_mm.models import HPViT
from hpvit_mm.models.layers import Block, ConvPooling
from .stages import PlacedBlock, PlacedStage, Size, placed_stages

# A block, in bytes. Per token and channel: the fp32 inputs of both norms (2 x
# 4), the inputs of qkv and fc1 (2 x 2), q, k and v (6), and the output of the
# attention (2). Per token and hidden channel: the input of GELU (2), and its
# output (2), which fc2 keeps; where fc2 follows an average, it is that of
# fewer tokens. With four hidden channels per channel, 36 altogether.
BYTES_PER_CHANNEL = 20
BYTES_PER_HIDDEN = 2
# fp32: the mean and the deviation of a norm, per token; a sum of the
# attention, per token and head.
BYTES_PER_NORM = 8
BYTES_PER_HEAD = 4
# A checkpointed block keeps its fp32 input, and the norm of an output, too.
BYTES_PER_INPUT = 4
# bf16, for the gradient of the weights: four tokens per pooled one.
BYTES_PER_POOLED = 4 * 2
# The embedding keeps the image, fp32; where windows are padded, in bf16. Per
# pixel and channel.
BYTES_PER_PIXEL = 4
BYTES_PER_PADDED_PIXEL = 2
# A frozen block keeps nothing; at its fullest, while GELU is computed, it
# holds its fp32 input (4), the norm's fp32 output (4), and GELU's (8 + 8).
BYTES_PER_FROZEN_CHANNEL = 24


def activation_bytes(backbone: HPViT, size: Size) -> int:
    """Bytes that a backbone holds for an image, at their most.

    That is when the backward pass begins, or when it computes a checkpointed
    block again; what the parts behind that one kept is then gone. Counted is
    what is kept, not what is there while something is computed.
    """
    saved = most = 0
    for kept, held in kept_bytes(backbone, size):
        most = max(most, saved + held)
        saved += kept
    return max(most, saved)


def kept_bytes(backbone: HPViT, size: Size) -> Iterator[Tuple[int, int]]:
    """What the parts of a backbone keep of an image, in their order.

    Args:
        backbone: The backbone.
        size: Height and width of the image in pixels.

    Yields:
        Bytes that a part keeps for the backward pass, and those that it holds
        while it is computed: for the first time if it is frozen, once more if
        it is checkpointed, else 0.
    """
    frozen, channels = backbone.frozen_stages, backbone.embed_dims
    stages = placed_stages(backbone, size)
    conv = any(isinstance(pool, ConvPooling) for pool in backbone.pools)
    if frozen < 0:
        yield embedding_bytes(backbone, stages[0]), 0
    for s, stage in enumerate(stages):
        last = s + 1 == len(stages)
        tokens = stage.tokens
        for one in stage.blocks:
            tokens = one.tokens
            if s < frozen:
                yield 0, BYTES_PER_FROZEN_CHANNEL * channels * tokens
            else:
                yield block_bytes(one, 1 if last else tokens // 4)
        if s in backbone.out_indices and s >= frozen:
            normed = tokens if backbone.out_type == 'featmap' else 1
            yield normed * (BYTES_PER_INPUT * channels + BYTES_PER_NORM), 0
        if conv and not last and s + 1 >= frozen:
            yield BYTES_PER_POOLED * channels * (tokens // 4), 0


def embedding_bytes(backbone: HPViT, stage: PlacedStage) -> int:
    """What the embedding keeps of an image, as the first stage needs it."""
    padded = stage.blocks and stage.blocks[0].layout.is_padded
    return stage.tokens * stage.stride**2 * (
        BYTES_PER_PADDED_PIXEL if padded else BYTES_PER_PIXEL
    ) * backbone.patch_embed.proj.in_channels


def block_bytes(one: PlacedBlock, averages: int) -> Tuple[int, int]:
    """What a block keeps of an image, and what it holds once more.

    Args:
        one: The block.
        averages: Tokens that fc2 gets where it follows an average.
    """
    channels, heads = one.block.attn.qkv.in_features, one.block.attn.num_heads
    hidden = BYTES_PER_HIDDEN * one.block.mlp.fc1.out_features
    kept = one.tokens * (BYTES_PER_CHANNEL * channels + hidden +
                         2 * BYTES_PER_NORM + BYTES_PER_HEAD * heads)
    fc2 = hidden * (averages if one.averaged else one.tokens)
    if not one.block.with_cp:
        return kept + fc2, 0
    return one.tokens * channels * BYTES_PER_INPUT, kept + fc2


def copied_weights(model: nn.Module) -> int:
    """Weights of which autocast's bf16 copy is kept for the backward pass.

    These are trained matrices, but those of checkpointed blocks, which are
    copied again. The embedding is counted, although it keeps a copy only if
    windows are padded.
    """
    def copied(module: nn.Module) -> int:
        return sum(
            one.weight.numel() for one in module.modules()
            if isinstance(one, (nn.Linear, nn.modules.conv._ConvNd))
            and one.weight.requires_grad)

    return copied(model) - sum(
        copied(one) for one in model.modules()
        if isinstance(one, Block) and one.with_cp)
