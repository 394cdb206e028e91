"""Losses that stay on their device until somebody reads them."""
from collections import defaultdict
from functools import partial
from typing import Any, Callable, Dict, List, Optional

import numpy as np
import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.logging import HistoryBuffer
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, LogProcessor
from torch import Tensor

from hpvit_mm.errors import UserError
from hpvit_mm.registry import HOOKS

ALL = HistoryBuffer().max_length  # as many values as mmengine keeps
MAX_WAITING = 1000  # iterations


@HOOKS.register_module()
class DeferredRuntimeInfoHook(RuntimeInfoHook):
    """mmengine's RuntimeInfoHook, without a wait for the GPU per iteration.

    In mmengine 0.10.7 RuntimeInfoHook reads every loss at every iteration,
    OptimWrapper the norm of the gradients, and each time the GPU runs dry.
    Here they stay where they are, and all of them are read in one transfer
    when somebody asks the message hub for a curve: a LoggerHook at its
    interval, a checkpoint, a hook of your own. So what is read is never out
    of date, and what is logged is the same.

    mmengine also copies the whole of each curve to add a value, up to a
    million of them, and saves them in each checkpoint. Here a curve holds
    what ``log_processor`` averages over, and at least ``history`` values; all
    of them only where it asks for all. ::

        default_hooks = dict(
            runtime_info=dict(type='hpvit_mm.DeferredRuntimeInfoHook'))

    Args:
        history: How many values of each training curve are kept at least,
            for hooks of your own that read more than is logged. Defaults to
            1000.

    Raises:
        UserError: If ``history`` is not a number of values.
    """

    def __init__(self, history: int = 1000) -> None:
        if not isinstance(history, int) or history < 0:
            raise UserError('DeferredRuntimeInfoHook needs a whole number as '
                            f'history, how many values to keep, not {history}')
        self.history = history
        # device -> names and values (N) of each iteration, oldest first
        self.waiting = defaultdict(list)

    def before_train(self, runner) -> None:
        """Take over the curves of a checkpoint, and the gradients' norm."""
        super().before_train(runner)
        self.scalars = runner.message_hub.log_scalars
        self.loggers = [hook for hook in runner.hooks
                        if isinstance(hook, LoggerHook)]
        self.waiting.clear()
        self._take_over(runner)
        wrappers = runner.optim_wrapper
        for wrapper in wrappers.values() if isinstance(
                wrappers, OptimWrapperDict) else [wrappers]:
            self._defer_norm(wrapper)

    def after_train_iter(self, runner, batch_idx: int, data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """Keep the losses; mmengine takes what cannot wait."""
        super().after_train_iter(runner, batch_idx, data_batch,
                                 self._defer(outputs or {}))
        self._take_over(runner)
        # A LoggerHook reads after IterTimerHook has taken the time: what is
        # waited for then would count as time for the next batch of data.
        if any(hook.every_n_inner_iters(batch_idx, hook.interval)
               for hook in self.loggers):
            self.catch_up()

    def after_train(self, runner) -> None:
        """Leave nothing on the device."""
        super().after_train(runner)
        self.catch_up()

    def catch_up(self) -> None:
        """Read all that waits, with one transfer per device."""
        waiting, self.waiting = self.waiting, defaultdict(list)
        values = defaultdict(list)
        for rows in waiting.values():
            numbers = iter(torch.cat([row for _, row in rows]).tolist())
            for names, _ in rows:
                for name in names:
                    values[name].append(next(numbers))
        for name, new in values.items():
            self.scalars[name].extend(new)

    def _defer(self, values: Dict[str, Any]) -> Dict[str, Any]:
        """Keep what can wait, and return the rest.

        A curve begins with a value that does not wait: so mmengine itself
        makes it, in its order. Integers do not wait, because they would
        become floats, nor what is on a second device.
        """
        ready, rest, device = {}, {}, None
        for name, value in values.items():
            if (isinstance(value, Tensor) and value.is_floating_point()
                    and value.ndim == 0 and device in (None, value.device)
                    and isinstance(self.scalars.get(f'train/{name}'), Curve)):
                ready[f'train/{name}'] = value
                device = value.device
            else:
                rest[name] = value
        if ready:
            # A copy, because what a CUDA graph has computed is overwritten
            # by the next iteration. Types are promoted, which is exact.
            with torch.no_grad():
                row = torch.stack(list(ready.values()))
            for name in ready:
                self.scalars[name].behind = True
            rows = self.waiting[device]
            rows.append((list(ready), row))
            if len(rows) >= MAX_WAITING:
                self.catch_up()
        return rest

    def _defer_norm(self, wrapper: OptimWrapper) -> None:
        """Have the norm of the gradients wait, too.

        OptimWrapper logs what its ``clip_func`` returns, unless that is None.
        """
        clip = getattr(wrapper, 'clip_func', None)
        if clip is None or getattr(clip, 'func', None) == self._clip:
            return
        wrapper.clip_func = partial(self._clip, clip, wrapper.grad_name)

    def _clip(self, clip: Callable, name: str, params: List[Tensor],
              **options) -> Any:
        return self._defer({name: clip(params, **options)}).get(name)

    def _take_over(self, runner) -> None:
        """Bound the curves that mmengine has begun or loaded."""
        for name, buffer in self.scalars.items():
            if type(buffer) is HistoryBuffer and name.startswith('train/'):
                length = self._length(runner, name[len('train/'):])
                self.scalars[name] = Curve(
                    self.catch_up, *(part[-length:] for part in buffer.data),
                    max_length=length)

    def _length(self, runner, name: str) -> int:
        """How many values of a curve may be read."""
        processor = runner.log_processor
        if type(processor) is not LogProcessor:
            return ALL
        windows = [processor.window_size]
        for entry in processor.custom_cfg:
            if entry['data_src'] == name:
                known = entry.get('method_name') in ('mean', 'min', 'max')
                windows.append(entry.get('window_size') if known else ALL)
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            epoch = len(runner.train_dataloader)
            windows = [epoch if one == 'epoch' else one for one in windows]
        # None, 0 and 'global' mean all
        if not all(isinstance(one, int) and one > 0 for one in windows):
            return ALL
        return min(ALL, max(self.history, *windows))


class Curve(HistoryBuffer):
    """A HistoryBuffer whose last values may still be on the device.

    Args:
        catch_up: Brings them here, by :meth:`extend`.
        args: As those of a HistoryBuffer.
        kwargs: As those of a HistoryBuffer.
    """

    def __init__(self, catch_up: Callable[[], None], *args, **kwargs) -> None:
        self.catch_up = catch_up
        self.behind = False
        super().__init__(*args, **kwargs)

    def extend(self, values: List[float]) -> None:
        """Add values, each of which counts once."""
        self.behind = False
        length = self.max_length
        self._log_history = np.append(self._log_history, values)[-length:]
        self._count_history = np.append(
            self._count_history, np.ones(len(values), int))[-length:]

    # The names by which all methods of HistoryBuffer, and statistics that are
    # registered there, know the values.
    @property
    def _log_history(self) -> np.ndarray:
        if self.behind:
            self.catch_up()
        return self._values

    @_log_history.setter
    def _log_history(self, values: np.ndarray) -> None:
        self._values = values

    @property
    def _count_history(self) -> np.ndarray:
        if self.behind:
            self.catch_up()
        return self._counts

    @_count_history.setter
    def _count_history(self, counts: np.ndarray) -> None:
        self._counts = counts

    def __reduce__(self) -> tuple:
        """In a checkpoint, and wherever it is copied, mmengine's own."""
        return HistoryBuffer, self.data
