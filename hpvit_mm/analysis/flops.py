"""Parameters and multiply-adds of a model, part by part."""
from collections import Counter
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import torch
from mmengine.config import Config
from torch import Tensor, nn

from hpvit_mm.engine.checks.model import quiet
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT
from .cost import (backbone_macs, count, counter, head_macs, input_size,
                   skeleton)
from .stages import PlacedStage, Size, placed_stages

# torch's sizes overflow when there are many more pixels along a side.
LARGEST = 2**16

NUMBERS = ('parameters, M', 'GMACs: nominal', 'executed', 'share')
HEADER = ('', 'tokens', 'blocks', 'attention', *NUMBERS, '')

LEGEND = """\
A MAC is a multiply-add in the product of two matrices, in a convolution or in
attention; papers on vision transformers call it a FLOP. Nominal: by formula,
for the tokens that exist. Executed: counted, with the padding of windows, and
with the last linear layer of a block (fc2) behind an average where it can be.
Heads of regions get as many as are sampled in training."""


@dataclass(frozen=True)
class Part:
    """A row of the table.

    Attributes:
        name: What the table calls it.
        parameters: How many it has.
        nominal: MACs by formula; None where there is no formula.
        executed: MACs that are executed; None where they are not known.
        tokens: Along the height and the width.
        blocks: Number of blocks, where there may be some.
        attention: Its kinds, and the tokens that attend to each other.
        remark: Why executed differs from nominal.
    """
    name: str
    parameters: int
    nominal: Optional[int]
    executed: Optional[int]
    tokens: str = ''
    blocks: str = ''
    attention: str = ''
    remark: str = ''


def parse_shape(values: Sequence[str]) -> Size:
    """Height and width from one or two numbers in text."""
    try:
        size = [int(value) for value in values]
    except ValueError:
        size = []
    if len(size) not in (1, 2) or min(size) < 1 or max(size) > LARGEST:
        raise UserError(
            f'--shape {" ".join(values)}: give the height and the width of an '
            f'image in pixels, or one number for both, from 1 to {LARGEST}')
    return size[0], size[-1]


def table(cfg: Config, size: Optional[Size] = None) -> str:
    """Parameters and MACs of the model of a config, as text.

    Args:
        cfg: The config.
        size: Height and width in pixels of an image, as the backbone gets it.
            Defaults to None: that of the training.

    Raises:
        UserError: If the model cannot be built, or its backbone not be run.
    """
    model = skeleton(cfg)
    size = size or input_size(cfg, remedy='give --shape')
    parts = model_parts(model, size)
    return '\n'.join([
        f'{cfg.filename}, an image of {size[0]} x {size[1]} pixels', '',
        *formatted(parts), '', LEGEND
    ])


def model_parts(model: nn.Module, size: Size) -> List[Part]:
    """Those of its backbone, the backbone, neck and heads, and the whole."""
    backbone = getattr(model, 'backbone', None)
    if backbone is None:
        raise UserError(f'{type(model).__name__} has no backbone; give the '
                        'config of a classifier, detector or segmentor')
    parts = []
    if isinstance(backbone, HPViT):
        parts, features = hpvit_parts(backbone, size)
        executed = total(part.executed for part in parts)
        nominal = total(part.nominal for part in parts)
    else:
        executed, features = run_backbone(backbone, size)
        nominal = None
    top = [Part('backbone', count(backbone.parameters()), nominal, executed),
           *other_parts(model, features)]
    return [*parts, *top, Part(
        'total', count(model.parameters()),
        total(part.nominal for part in top),
        total(part.executed for part in top))]


def total(numbers) -> Optional[int]:
    """The sum; None if one of them is not known."""
    numbers = list(numbers)
    return None if None in numbers else sum(numbers)


def hpvit_parts(backbone: HPViT,
                size: Size) -> Tuple[List[Part], Sequence[Tensor]]:
    """Embedding, stages and output norms of an HPViT, and its output."""
    macs, features = backbone_macs(backbone, size)
    placed = placed_stages(backbone, size)
    stages = []
    for s, (cost, stage) in enumerate(zip(macs[1:], placed)):
        layers = [one.block for one in stage.blocks]
        layers += backbone.pools[max(0, s - 1):s]
        stages.append(Part(
            f'stage {cost.name}', sum(count(one.parameters())
                                      for one in layers),
            cost.nominal, cost.executed, by(stage.grid),
            str(len(stage.blocks)), attention(stage), remark(stage)))
    norms = count(backbone.norms.parameters())
    embedding = Part(
        'embedding', count(backbone.parameters()) - norms -
        sum(stage.parameters for stage in stages), macs[0].nominal,
        macs[0].executed, by(placed[0].grid))
    return [embedding, *stages, Part('output norms', norms, 0, 0)], features


def by(size: Size) -> str:
    return f'{size[0]} x {size[1]}'


def attention(stage: PlacedStage) -> str:
    """Such as '4 window 16 x 16, 2 global 64 x 64'."""
    kinds = Counter(f'{one.kind} {by(one.layout.size)}'
                    for one in stage.blocks)
    return ', '.join(f'{number} {kind}' if len(kinds) > 1 else kind
                     for kind, number in kinds.items())


def remark(stage: PlacedStage) -> str:
    """Why what is executed differs from the formula."""
    padded = {by(one.layout.padded_grid): None for one in stage.blocks
              if one.layout.is_padded}
    remarks = [f'padded to {grid}' for grid in padded]
    if any(one.averaged for one in stage.blocks):
        remarks.append('last fc2 behind the average')
    return ', '.join(remarks)


def run_backbone(backbone: nn.Module,
                 size: Size) -> Tuple[int, Sequence[Tensor]]:
    """MACs of a host's backbone, and its output."""
    backbone.eval()  # on a line of its own: the hosts' return None
    image = torch.empty(1, 3, *size, device='meta')
    try:
        with quiet(), counter() as counted, torch.no_grad():
            features = backbone(image)
    except Exception as error:
        raise UserError(
            f'{type(backbone).__name__} cannot be run on an image of '
            f'{by(size)} pixels without values: {error}; give another --shape'
        ) from error
    return counted.get_total_flops() // 2, features


def other_parts(model: nn.Module, features: Sequence[Tensor]) -> List[Part]:
    """The neck and the heads, which have no formula of their own."""
    try:
        macs = head_macs(model, features)
    except Exception:  # not every host's head runs without data
        macs = {}
    parts = []
    for name, module in model.named_children():
        parameters = count(module.parameters())
        if name != 'backbone' and (parameters or macs.get(name)):
            parts.append(Part(name, parameters, macs.get(name),
                              macs.get(name)))
    return parts


def formatted(parts: Sequence[Part]) -> List[str]:
    """The lines of the table."""
    rows = [HEADER]
    for part in parts:
        share = '-'
        if part.executed is not None and parts[-1].executed:
            share = f'{100 * part.executed / parts[-1].executed:.1f} %'
        rows.append((
            part.name, part.tokens, part.blocks, part.attention,
            f'{part.parameters / 1e6:.3f}', giga(part.nominal),
            giga(part.executed), share, part.remark))
    columns = []
    for head, *cells in zip(*rows):
        if any(cells):
            width = max(map(len, (head, *cells)))
            align = str.rjust if head in NUMBERS else str.ljust
            columns.append([align(cell, width) for cell in (head, *cells)])
    return ['  '.join(row).rstrip() for row in zip(*columns)]


def giga(macs: Optional[int]) -> str:
    return '-' if macs is None else f'{macs / 1e9:,.3f}'
