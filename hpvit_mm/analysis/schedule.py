"""The learning rate of a config, iteration by iteration, and its picture."""
import math
from typing import List, Optional, Sequence, Tuple

import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS

from hpvit_mm.errors import UserError
from .chart import HEIGHT, WIDTH, line_chart
from .cost import schedule

STYLE = """
svg { font: 12px sans-serif; background: white }
text { fill: #444 }
.grid { stroke: #ddd }
.curve { fill: none; stroke: #2563a8; stroke-width: 2 }
"""


def learning_rates(cfg: Config, epoch_length: Optional[int] = None
                   ) -> List[float]:
    """The full learning rate (``base_lr``) of every iteration.

    Args:
        cfg: The config of an experiment.
        epoch_length: Iterations per epoch, where epochs are counted.
            Defaults to None: computed, for the data sets that are known.

    Returns:
        One rate per iteration.

    Raises:
        UserError: If the config does not train, or if ``epoch_length`` is
            needed and not known.
    """
    if not cfg.get('optim_wrapper') or not cfg.get('train_cfg'):
        raise UserError(f'{cfg.filename} trains nothing: it has no learning '
                        'rate to plot.')
    entries = cfg.get('param_scheduler') or []
    entries = [entries] if isinstance(entries, dict) else entries
    iterations = cfg.train_cfg.get('max_iters')
    if not iterations and not epoch_length:
        epoch_length = iterations_per_epoch(cfg)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))],
                                cfg.optim_wrapper.optimizer.lr)
    schedulers = [
        PARAM_SCHEDULERS.build(dict(one), default_args=dict(
            optimizer=optimizer, epoch_length=epoch_length))
        for one in entries
    ]
    rates = []
    for iteration in range(iterations
                           or cfg.train_cfg.max_epochs * epoch_length):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()  # else torch says that it should come first
        for one in schedulers:
            if not one.by_epoch or (iteration + 1) % epoch_length == 0:
                one.step()
    return rates


def iterations_per_epoch(cfg: Config) -> int:
    """Batches in an epoch of one of the four large data sets."""
    try:
        images, epochs, _ = schedule(cfg)
    except UserError as error:
        raise UserError(f'{cfg.filename} counts in epochs of an unknown '
                        'length: name it, --epoch-length N.') from error
    batch = cfg.auto_scale_lr.base_batch_size // cfg.optim_wrapper.get(
        'accumulative_counts', 1)
    return math.ceil(images * epochs / cfg.train_cfg.max_epochs / batch)


def plot(curves: Sequence[Tuple[str, Sequence[float]]],
         points: int = 400) -> str:
    """A picture, in SVG, of several schedules below each other.

    Args:
        curves: Title and rates of each.
        points: How many of the rates are drawn, at most about.
    """
    parts = []
    for number, (title, rates) in enumerate(curves):
        step = max(1, len(rates) // points)
        kept = [*range(0, len(rates), step), len(rates) - 1]
        chart = line_chart([(i, rates[i]) for i in kept], 'iteration',
                           f'learning rate, {title}')
        parts.append(chart.replace(
            '<svg ', f'<svg y="{number * (HEIGHT + 20)}" width="{WIDTH}" '
            f'height="{HEIGHT}" overflow="visible" ', 1))
    total = len(curves) * (HEIGHT + 20)
    margin = 20  # for long numbers
    return ('<svg xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="{-margin} 0 {WIDTH + margin} {total}"><style>{STYLE}</style>\n'
            + '\n'.join(parts) + '\n</svg>\n')
