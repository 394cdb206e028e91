"""The blocks of a backbone at each resolution, for images of some size."""
import math
from dataclasses import dataclass
from typing import List, Tuple

from hpvit_mm.models import HPViT
from hpvit_mm.models.layers import Block, TokenLayout

Size = Tuple[int, int]


@dataclass(frozen=True)
class PlacedBlock:
    """A block, and the tokens that it gets.

    Attributes:
        name: Its name in the backbone.
        block: The block.
        kind: The kind of its attention.
        layout: How the tokens are arranged.
        tokens: How many it computes of an image, with prefix tokens and
            padding.
        averaged: Whether its last linear layer follows an average.
    """
    name: str
    block: Block
    kind: str
    layout: TokenLayout
    tokens: int
    averaged: bool


@dataclass(frozen=True)
class PlacedStage:
    """A stage, and the tokens that it gets.

    Attributes:
        stride: Distance of its tokens in pixels.
        grid: Tokens along the height and the width, without padding.
        blocks: Its blocks; there may be none.
    """
    stride: int
    grid: Size
    blocks: Tuple[PlacedBlock, ...]

    @property
    def tokens(self) -> int:
        return math.prod(self.grid)


def placed_stages(backbone: HPViT, size: Size) -> List[PlacedStage]:
    """The stages of a backbone for an image of a height and width in pixels.

    Those behind the last output are not built, and are left out.
    """
    stages = []
    index = 0
    for s in range(len(backbone.pools) + 1):
        stride = backbone.strides[s]
        grid = tuple(math.ceil(n / stride) for n in size)
        blocks = []
        for i, kind in enumerate(backbone.attention[s]):
            layout = TokenLayout.create(
                kind, grid, max(1, backbone.patch_size // stride),
                backbone.window_size)
            blocks.append(PlacedBlock(
                f'blocks.{index}', backbone.blocks[index], kind, layout,
                layout.num_groups * (
                    math.prod(layout.size) + backbone.num_prefix),
                backbone.is_averaged(s, i)))
            index += 1
        stages.append(PlacedStage(stride, grid, tuple(blocks)))
    return stages
