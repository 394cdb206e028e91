"""Hook that ends a process that hangs."""
import faulthandler
import sys
import time
from typing import Optional

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
        runner.logger.info(
            f'If nothing happens for {self.timeout:g} s, this process ends '
            'with status 1 and a traceback of each thread '
            '(default_hooks.watchdog.timeout)')
        self.started = -1.
        self.restart()

    def restart(self, *args, **kwargs) -> None:
        """Restart the timeout, at most once a second: it starts a thread."""
        now = time.monotonic()
        if self.started is not None and \
                now - self.started > min(1, self.timeout / 10):
            self.started = now
            faulthandler.dump_traceback_later(
                self.timeout, exit=True, file=sys.__stderr__)

    def close(self, *args) -> None:
        """Stop the timeout, however the run ended."""
        self.started = None
        faulthandler.cancel_dump_traceback_later()

    before_test = before_train
    after_train_iter = after_val_iter = after_test_iter = restart
    before_val = after_val = restart
    after_train = after_test = close
