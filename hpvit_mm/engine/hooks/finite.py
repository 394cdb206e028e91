"""Losses and gradients that are no numbers."""
import math
from typing import Any, Dict, List, Optional, Tuple

from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.optim import AmpOptimWrapper

from hpvit_mm.errors import UserError
from hpvit_mm.registry import HOOKS

from .. import agreement

SHOWN = 5  # iterations in the table of the log


@HOOKS.register_module()
class FiniteHook(Hook):
    """Ends a run whose losses or gradients' norm are NaN or infinite.

    They are looked at every ``interval`` iterations, where they are read from
    the GPU to be logged anyway, and SafeCheckpointHook has them looked at in
    front of each checkpoint, and so of each validation. The log then has a
    table of the losses, and the files of the batch. The norm of the gradients
    is known where they are clipped.

    In float16 with scaled losses, mmengine's AmpOptimWrapper leaves out
    updates whose gradients are not finite; that is no error as long as it is
    not the rule.

    Args:
        interval: Iterations between two looks. Defaults to 50.
        max_skipped: How many updates in a row an AmpOptimWrapper may leave
            out. Defaults to 25.

    Raises:
        UserError: If an argument is no such number; in training, of what was
            found, in all processes.
    """

    # after the losses are noted, before a checkpoint is saved
    priority = 'LOW'

    def __init__(self, interval: int = 50, max_skipped: int = 25) -> None:
        if interval < 1 or max_skipped < 0:
            raise UserError(
                'FiniteHook needs interval from 1 and max_skipped from 0 on, '
                f'not {interval} and {max_skipped}')
        self.interval = interval
        self.max_skipped = max_skipped
        # number of the iteration, counted from 1, and files of its batch
        self.waiting: List[Tuple[int, List[str]]] = []
        self.skipped = 0

    def before_train(self, runner) -> None:
        """Start anew."""
        self.waiting.clear()
        self.skipped = 0
        scaler = self._scaler(runner)
        self.least_scale = scaler.get_scale() / 2**self.max_skipped \
            if scaler else 0

    def after_train_iter(self, runner, batch_idx: int, data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """Note the files of the batch, and look now and then."""
        self.waiting.append((runner.iter + 1, files_of(data_batch)))
        if len(self.waiting) >= self.interval:
            self.look(runner)

    def after_train(self, runner) -> None:
        """Look at the last iterations."""
        self.look(runner)

    def look(self, runner) -> None:
        """Look at all iterations since the last time, in all processes."""
        if not self.waiting:  # in none of them
            return
        errors = agreement.of_all(self._find(runner))
        self.waiting.clear()
        for rank, error in enumerate(errors):
            if error:
                where = f'in process {rank}, ' if len(errors) > 1 else ''
                raise UserError(where + error)

    def _find(self, runner) -> Optional[str]:
        """What is to be said about the iterations that wait."""
        values = recent(runner.message_hub, len(self.waiting))
        scaler = self._scaler(runner)
        for i, (iteration, files) in enumerate(self.waiting):
            bad = [name for name, column in values.items()
                   if not math.isfinite(column[i] or 0)]
            self.skipped = self.skipped + 1 if bad else 0
            if not bad or scaler and self.skipped <= self.max_skipped:
                continue
            runner.logger.error(
                f'Losses up to iteration {iteration}:\n'
                + table(values, self.waiting, i))
            runner.logger.error(
                f'The batch of iteration {iteration}:\n  '
                + '\n  '.join(files or ['unknown files']))
            text = f'{bad[0]} is {values[bad[0]][i]} at iteration {iteration}'
            if scaler:
                text += f', and {self.skipped} updates were left out in a row'
            return text + (
                ': the log names the files of this batch. Look at them; '
                'resume from the last checkpoint with a lower learning rate '
                'or with clipped gradients (optim_wrapper.clip_grad)'
                + (', or in bfloat16' if scaler else ''))
        if scaler and scaler.get_scale() < self.least_scale:
            return (f'the scale of the loss has fallen to '
                    f'{scaler.get_scale():g}, because of gradients that are '
                    'not finite: use --amp-dtype bfloat16')
        return None

    def _scaler(self, runner):
        wrapper = runner.optim_wrapper
        scaler = getattr(wrapper, 'loss_scaler', None)
        return scaler if isinstance(wrapper, AmpOptimWrapper) and \
            scaler.is_enabled() else None


def files_of(batch: Any) -> List[str]:
    """The images of a batch."""
    samples = batch.get('data_samples') if isinstance(batch, dict) else None
    return [getattr(sample, 'img_path', None) or 'unknown'
            for sample in samples or ()]


def recent(hub: MessageHub, count: int) -> Dict[str, List[Optional[float]]]:
    """The losses, and the norm of the gradients, of the last iterations.

    Args:
        hub: Where they are noted.
        count: Of how many iterations.

    Returns:
        Name -> values, the last one of the last iteration. None in front
        where one was not noted each time.
    """
    values = {}
    for name, curve in hub.log_scalars.items():
        # others are metrics of validations, which may be what they like
        prefix, _, name = name.partition('/')
        if prefix == 'train' and ('loss' in name or 'grad_norm' in name):
            column = curve.data[0][-count:].tolist()
            values[name] = [None] * (count - len(column)) + column
    return values


def table(values: Dict[str, List[Optional[float]]],
          iterations: List[Tuple[int, List[str]]], last: int) -> str:
    """Losses of a few iterations, up to the one at an index."""
    width = max(map(len, values)) + 2
    rows = [f'{"iteration":>10}' + ''.join(f'{name:>{width}}'
                                           for name in values)]
    for i in range(max(0, last + 1 - SHOWN), last + 1):
        row = ['-' if column[i] is None else f'{column[i]:.5g}'
               for column in values.values()]
        rows.append(f'{iterations[i][0]:>10}'
                    + ''.join(f'{text:>{width}}' for text in row))
    return '\n'.join(rows)
