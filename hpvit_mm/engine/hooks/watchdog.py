"""Hook that ends a process that hangs."""
import faulthandler
import sys
import time
from typing import Any, Optional, Sequence

from mmengine.hooks import Hook

from hpvit_mm.errors import UserError
from hpvit_mm.registry import HOOKS


@HOOKS.register_module()
class WatchdogHook(Hook):
    """End a process in which nothing has happened for too long.

    Another machine may be gone, or storage may not answer: then a training or
    a test would wait forever. ``faulthandler`` writes to stderr what each
    thread waits for and ends the process with status 1.

    Args:
        timeout: Seconds that an iteration, or the metrics of a validation or
            a test, may take. Defaults to 1800. Collectives wait longer.

    Raises:
        UserError: If ``timeout`` is not positive.
    """

    def __init__(self, timeout: float = 1800) -> None:
        if not timeout > 0:
            raise UserError('timeout of WatchdogHook must be a positive '
                            f'number of seconds, not {timeout}')
        self.timeout = timeout
        self.started: Optional[float] = None

    def before_train(self, runner) -> None:
        """Start the timeout."""
        self._begin(runner)

    def before_test(self, runner) -> None:
        """Start the timeout."""
        self._begin(runner)

    def after_train_iter(self, runner, batch_idx: int, data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """Restart the timeout."""
        self._reset()

    def before_val(self, runner) -> None:
        """Restart the timeout."""
        self._reset()

    def after_val_iter(self, runner, batch_idx: int, data_batch: Any = None,
                       outputs: Optional[Sequence] = None) -> None:
        """Restart the timeout."""
        self._reset()

    def after_val(self, runner) -> None:
        """Restart the timeout."""
        self._reset()

    def after_test_iter(self, runner, batch_idx: int, data_batch: Any = None,
                        outputs: Optional[Sequence] = None) -> None:
        """Restart the timeout."""
        self._reset()

    def after_train(self, runner) -> None:
        """Stop the timeout."""
        self.close()

    def after_test(self, runner) -> None:
        """Stop the timeout."""
        self.close()

    def close(self) -> None:
        """Stop the timeout, however the run ended."""
        self.started = None
        faulthandler.cancel_dump_traceback_later()

    def _begin(self, runner) -> None:
        runner.logger.info(
            f'If nothing happens for {self.timeout:g} s, this process ends '
            'with status 1 and a traceback of each thread '
            '(default_hooks.watchdog.timeout)')
        self.started = -1.
        self._reset()

    def _reset(self) -> None:
        now = time.monotonic()
        # at most once a second, because each call starts a thread
        if self.started is not None and \
                now - self.started > min(1, self.timeout / 10):
            self.started = now
            faulthandler.dump_traceback_later(
                self.timeout, exit=True, file=sys.__stderr__)
