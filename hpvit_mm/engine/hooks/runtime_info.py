"""Hook that logs losses without a wait for the GPU at each iteration."""
from functools import partial
from typing import Any, Callable, Dict, List, Optional

import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.optim import OptimWrapper
from mmengine.runner import LogProcessor
from torch import Tensor

from hpvit_mm.errors import UserError
from hpvit_mm.registry import HOOKS

MAX_WAITING = 1000  # iterations


@HOOKS.register_module()
class DeferredRuntimeInfoHook(RuntimeInfoHook):
    """mmengine's RuntimeInfoHook, but losses stay on the GPU until logged.

    In mmengine 0.10.7 RuntimeInfoHook reads each loss at each iteration, and
    OptimWrapper the norm of the gradients; each read waits for the GPU. Here
    they are read in one transfer when a LoggerHook logs, when a checkpoint is
    saved, before a validation and at the end. The log is the same. A hook of
    your own that reads the curves in between calls :meth:`catch_up` first.

    mmengine also keeps, and saves, up to a million values of each curve and
    copies them all to add one. Here a curve has ``history`` values, or as
    many as ``log_processor`` averages over; all, where it asks for that. ::

        default_hooks = dict(
            runtime_info=dict(type='hpvit_mm.DeferredRuntimeInfoHook'))

    Args:
        history: Least number of values to keep per curve. Defaults to 1000.

    Raises:
        UserError: If ``history`` is not a positive integer.
    """

    def __init__(self, history: int = 1000) -> None:
        if not isinstance(history, int) or history < 1:
            raise UserError('history of DeferredRuntimeInfoHook must be a '
                            f'positive integer, not {history}')
        self.history = history
        # names and values (N) of each iteration, oldest first
        self.waiting = []

    def before_train(self, runner) -> None:
        """Bound the curves of a checkpoint, and defer the gradient norm."""
        super().before_train(runner)
        self.hub = runner.message_hub
        self.length = curve_length(runner.log_processor, self.history)
        self.loggers = [hook for hook in runner.hooks
                        if isinstance(hook, LoggerHook)]
        self.waiting.clear()
        self._bound()
        wrapper = runner.optim_wrapper
        clip = getattr(wrapper, 'clip_func', None)
        if isinstance(wrapper, OptimWrapper) and clip is not None and \
                getattr(clip, 'func', None) != self._clip:
            # OptimWrapper logs what it returns, unless that is None
            wrapper.clip_func = partial(self._clip, clip, wrapper.grad_name)

    def after_train_iter(self, runner, batch_idx: int, data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """Keep the losses; read them if they are about to be logged."""
        super().after_train_iter(runner, batch_idx, data_batch,
                                 self._defer(outputs or {}))
        # before IterTimerHook takes the time of this iteration
        if self.end_of_epoch(runner.train_dataloader, batch_idx) or any(
                hook.every_n_inner_iters(batch_idx, hook.interval)
                for hook in self.loggers):
            self.catch_up()

    def before_val(self, runner) -> None:
        """Read the losses."""
        super().before_val(runner)
        self.catch_up()

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Put all losses until now into the checkpoint."""
        if self.waiting:
            self.catch_up()
            checkpoint['message_hub'] = runner.message_hub.state_dict()

    def after_train(self, runner) -> None:
        """Read the last losses."""
        super().after_train(runner)
        self.catch_up()

    def catch_up(self) -> None:
        """Read all that waits, in one transfer."""
        waiting, self.waiting = self.waiting, []
        if waiting:
            rows = [row.to(waiting[0][1].device) for _, row in waiting]
            values = iter(torch.cat(rows).tolist())
            for names, _ in waiting:
                for name in names:
                    self.hub.update_scalar(name, next(values))
            self._bound()

    def _defer(self, values: Dict[str, Any]) -> Dict[str, Any]:
        """Keep the values that can wait; return the others.

        The first value of a curve does not wait, so that mmengine creates the
        curves in its order. Integers do not, because they would become floats.
        """
        names = [name for name, value in values.items()
                 if isinstance(value, Tensor) and value.is_floating_point()
                 and value.ndim == 0
                 and f'train/{name}' in self.hub.log_scalars]
        if names:
            device = values[names[0]].device
            # a copy, because a CUDA graph overwrites its outputs
            with torch.no_grad():
                row = torch.stack([values[name].to(device) for name in names])
            self.waiting.append(([f'train/{name}' for name in names], row))
            if len(self.waiting) >= MAX_WAITING:
                self.catch_up()
        return {name: value for name, value in values.items()
                if name not in names}

    def _clip(self, clip: Callable, name: str, params: List[Tensor],
              **options) -> Any:
        return self._defer({name: clip(params, **options)}).get(name)

    def _bound(self) -> None:
        for name, curve in self.hub.log_scalars.items():
            if name.startswith('train/') and self.length:
                curve.max_length = self.length


def curve_length(processor: LogProcessor, history: int) -> Optional[int]:
    """Number of values of a curve that may be read; None for all."""
    windows = [processor.window_size] + [
        entry.get('window_size') for entry in processor.custom_cfg]
    if type(processor) is not LogProcessor or not all(
            isinstance(one, int) and one > 0 for one in windows):
        return None  # 'epoch', 'global', or a processor that we do not know
    return max(history, *windows)
