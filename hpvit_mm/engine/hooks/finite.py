"""Hook that ends a run whose losses or gradients are not finite."""
import math
from typing import Any, Dict, List, Optional, Tuple

from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper

from hpvit_mm.errors import UserError
from hpvit_mm.registry import HOOKS

from .. import agreement
from .runtime_info import DeferredRuntimeInfoHook


@HOOKS.register_module()
class FiniteHook(Hook):
    """End a run when a loss or the norm of the gradients is NaN or infinite.

    They are checked every ``interval`` iterations, because reading them waits
    for the GPU, and by SafeCheckpointHook in front of each checkpoint and so
    of each validation. The log names the files of the batch. The norm of the
    gradients is known where they are clipped.

    In float16, AmpOptimWrapper skips updates whose gradients are not finite;
    up to ``max_skipped`` in a row are normal.

    Args:
        interval: Iterations between two checks. Defaults to 50.
        max_skipped: Updates in a row that AmpOptimWrapper may skip. Defaults
            to 25.

    Raises:
        UserError: If an argument is out of range; in training, in all
            processes, if a value is not finite.
    """

    # after the losses are noted, before a checkpoint is saved
    priority = 'LOW'

    def __init__(self, interval: int = 50, max_skipped: int = 25) -> None:
        if interval < 1 or max_skipped < 0:
            raise UserError(
                'FiniteHook needs interval >= 1 and max_skipped >= 0, not '
                f'{interval} and {max_skipped}')
        self.interval = interval
        self.max_skipped = max_skipped
        # iteration, counted from 1, and the files of its batch
        self.unchecked: List[Tuple[int, List[str]]] = []

    def before_train(self, runner) -> None:
        """Reset the counters."""
        self.unchecked.clear()
        self.skipped = 0
        scaler = loss_scaler(runner)
        self.least_scale = scaler.get_scale() / 2**self.max_skipped \
            if scaler else 0

    def after_train_iter(self, runner, batch_idx: int, data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """Remember the files of the batch; check at the interval."""
        self.unchecked.append((runner.iter + 1, files_of(data_batch)))
        if len(self.unchecked) >= self.interval:
            self.check(runner)

    def after_train(self, runner) -> None:
        """Check the last iterations."""
        self.check(runner)

    def check(self, runner) -> None:
        """Check all iterations since the last time, in all processes."""
        if not self.unchecked:  # the same in all processes
            return
        for hook in runner.hooks:
            if isinstance(hook, DeferredRuntimeInfoHook):
                hook.catch_up()
        errors = agreement.of_all(self._find(runner))
        self.unchecked.clear()
        for rank, error in enumerate(errors):
            if error:
                where = f'in process {rank}, ' if len(errors) > 1 else ''
                raise UserError(where + error)

    def _find(self, runner) -> Optional[str]:
        """Explain what is not finite in the iterations to check, if any."""
        curves = recent(runner.message_hub.log_scalars, len(self.unchecked))
        scaler = loss_scaler(runner)
        for i, (iteration, files) in enumerate(self.unchecked):
            bad = [name for name, values in curves.items()
                   if not math.isfinite(values[i] or 0)]
            self.skipped = self.skipped + 1 if bad else 0
            if not bad or scaler and self.skipped <= self.max_skipped:
                continue
            runner.logger.error(f'The batch of iteration {iteration}:\n  '
                                + '\n  '.join(files))
            text = f'{bad[0]} is {curves[bad[0]][i]} at iteration {iteration}'
            if scaler:
                text += f', and {self.skipped} updates in a row were skipped'
            return text + (
                ': the log names the files of this batch. Check them, or '
                'resume from the last checkpoint with a lower learning rate '
                'or with clipped gradients (optim_wrapper.clip_grad)'
                + (', or in bfloat16' if scaler else ''))
        if scaler and scaler.get_scale() < self.least_scale:
            return (f'the loss scale has fallen to {scaler.get_scale():g}, '
                    'because of gradients that are not finite: use '
                    '--amp-dtype bfloat16')
        return None


def loss_scaler(runner):
    """The enabled GradScaler of a run in float16, else None."""
    wrapper = runner.optim_wrapper
    scaler = getattr(wrapper, 'loss_scaler', None)
    return scaler if isinstance(wrapper, AmpOptimWrapper) and \
        scaler.is_enabled() else None


def files_of(batch: Any) -> List[str]:
    """The image files of a batch."""
    samples = batch.get('data_samples') if isinstance(batch, dict) else None
    return [getattr(sample, 'img_path', None) or 'unknown'
            for sample in samples or ()]


def recent(scalars: Dict[str, Any],
           count: int) -> Dict[str, List[Optional[float]]]:
    """Losses and gradient norms of the last iterations, by name.

    Args:
        scalars: ``log_scalars`` of the message hub.
        count: Number of iterations.

    Returns:
        Name -> values. A value that was not logged at each iteration is
        padded in front with None.
    """
    curves = {}
    for name, curve in scalars.items():
        prefix, _, name = name.partition('/')  # not those of a validation
        if prefix == 'train' and ('loss' in name or 'grad_norm' in name):
            values = curve.data[0][-count:].tolist()
            curves[name] = [None] * (count - len(values)) + values
    return curves
