"""Runs that stand still."""
import faulthandler
import multiprocessing.process
import os
import sys
import threading
import time
from typing import Any, List, Optional, Sequence

from mmengine.hooks import Hook

from hpvit_mm.cli import end_now
from hpvit_mm.errors import UserError
from hpvit_mm.registry import HOOKS

CHECK = 1.0  # seconds between two looks
FAILED = 1


@HOOKS.register_module()
class WatchdogHook(Hook):
    """Ends a process that waits in vain.

    A process of another machine may be gone, storage may not answer, or a
    process that loads data may have been killed while it held a lock: then
    a training or a test would wait for ever, and so would the scheduler. A
    thread ends the process, with status 1, after a list of what it waited
    for.

    Args:
        timeout: Seconds that an iteration, or the metrics of a validation or
            a test, may take. Defaults to 1800, as long as torch's processes
            wait for one another.
        worker_timeout: Seconds between the death of a process that loads
            data and the end of the run, which mostly ends by itself. Defaults
            to 30.

    Raises:
        UserError: If one of these is not positive.
    """

    def __init__(self, timeout: float = 1800,
                 worker_timeout: float = 30) -> None:
        if not (timeout > 0 and worker_timeout > 0):
            raise UserError(
                'timeout and worker_timeout of WatchdogHook must be numbers '
                f'of seconds above 0, not {timeout} and {worker_timeout}')
        self.timeout = timeout
        self.worker_timeout = worker_timeout
        self.over: Optional[threading.Event] = None

    def before_train(self, runner) -> None:
        """Begin to watch."""
        self._begin('before the first iteration', 'train_dataloader',
                    'continue with --resume')

    def after_train_iter(self, runner, batch_idx: int, data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """It goes on."""
        self._note(f'after iteration {runner.iter + 1}')

    def before_val(self, runner) -> None:
        """It goes on."""
        self._note('at the beginning of a validation')

    def after_val_iter(self, runner, batch_idx: int, data_batch: Any = None,
                       outputs: Optional[Sequence] = None) -> None:
        """It goes on."""
        self._note(f'after batch {batch_idx + 1} of a validation')

    def after_val(self, runner) -> None:
        """It goes on."""
        self._note('after a validation')

    def after_train(self, runner) -> None:
        """Watch no more."""
        self.close()

    def before_test(self, runner) -> None:
        """Begin to watch."""
        self._begin('before the first batch', 'test_dataloader',
                    'start it again')

    def after_test_iter(self, runner, batch_idx: int, data_batch: Any = None,
                        outputs: Optional[Sequence] = None) -> None:
        """It goes on."""
        self._note(f'after batch {batch_idx + 1}')

    def after_test(self, runner, metrics: Optional[dict] = None) -> None:
        """Watch no more."""
        self.close()

    def close(self) -> None:
        """Watch no more, however a run has ended."""
        if self.over:
            self.over.set()

    def _begin(self, what: str, loader: str, remedy: str) -> None:
        self.loader = loader
        self.remedy = remedy
        self._note(what)
        self.over = threading.Event()
        threading.Thread(target=self._watch, args=(self.over, ),
                         daemon=True).start()

    def _note(self, what: str) -> None:
        self.what = what
        self.moved = time.monotonic()

    def _watch(self, over: threading.Event) -> None:
        died = None
        while not over.wait(CHECK):
            now = time.monotonic()
            if now - self.moved > self.timeout:
                self._end(f'nothing has happened for {self.timeout:g} s, '
                          f'{self.what}: the run ends. Another process may '
                          'be gone, or storage not answer; the lists above '
                          'say where each thread waits. If an iteration may '
                          'take as long, set timeout of the WatchdogHook')
            dead = killed_workers()
            if dead and died is None:
                died = now
            # where it goes on, nobody waited for that process
            if dead and now - max(died, self.moved) > self.worker_timeout:
                self._end(f'a process that loads data (pid {dead[0]}) was '
                          f'killed, and the run waits for it, {self.what}: '
                          'it ends. Most often the memory of the machine did '
                          f'not suffice (see dmesg); use fewer {self.loader}.'
                          f'num_workers, and {self.remedy}')

    def _end(self, text: str) -> None:
        faulthandler.dump_traceback(all_threads=True)
        print(f'error: {text}', file=sys.stderr, flush=True)
        end_now(FAILED)


def killed_workers() -> List[int]:
    """Child processes that a signal has ended.

    Their status is left for those who wait for it: torch, too, asks the
    system what became of its workers.
    """
    dead = []
    for child in list(multiprocessing.process._children):
        try:
            result = os.waitid(os.P_PID, child.pid,
                               os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except (OSError, TypeError):
            continue
        if result and result.si_code != os.CLD_EXITED:
            dead.append(child.pid)
    return dead
