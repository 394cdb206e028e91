"""Signals by which a scheduler asks a run to end."""
import os
import signal
import threading
import time
from typing import Optional

from hpvit_mm.cli import ASKING, end_now
from hpvit_mm.errors import PREEMPTED

SAME = 1.0  # seconds in which a launcher may pass on the same signal again
_watching = False


class SignalWatch:
    """Remember that a scheduler asked this process to end.

    The second signal ends the process at once. So does the first one after
    ``grace`` seconds, unless a checkpoint is being saved (:attr:`busy`).
    Python calls the handler between two bytecodes, so a process that hangs in
    C code is left to the scheduler.

    Args:
        grace: Seconds from the signal to the end of the iteration.
    """

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self.received: Optional[int] = None  # the signal
        self.busy = False  # a checkpoint is being saved
        self.over = threading.Event()

    def start(self) -> None:
        """Listen; call it in the main thread."""
        global _watching
        _watching = True
        self.before = {one: signal.signal(one, self._handle)
                       for one in ASKING}

    def stop(self) -> None:
        """Restore the handlers from before."""
        global _watching
        if not self.over.is_set():
            _watching = False
            self.over.set()
            for one, handler in self.before.items():
                signal.signal(one, handler)

    def _handle(self, number: int, frame) -> None:
        name = signal.Signals(number).name
        if self.received is None:
            self.since = time.monotonic()
            self.received = number
            _say(f'{name} received: this run saves its state and ends after '
                 'the current iteration; a second signal ends it at once')
            threading.Thread(target=self._limit, daemon=True).start()
        elif time.monotonic() - self.since > SAME:
            _say(f'{name} received again: this run ends at once')
            end_now(128 + number)

    def _limit(self) -> None:
        if self.over.wait(self.grace):
            return
        while self.busy:
            if self.over.wait(0.1):
                return
        _say(f'the iteration has not ended {self.grace:g} s after the signal: '
             'this run ends without it')
        end_now(PREEMPTED)


def protect_worker() -> None:
    """Keep a DataLoader worker alive when a scheduler signals all processes.

    The main process needs its data until the state is saved. A worker obeys
    its main process only, which sends SIGTERM when it ends itself.
    """
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # blocked, because torch replaces the handler in its workers
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=_obey_parent, daemon=True).start()


def _obey_parent() -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)


def _say(text: str) -> None:
    # print() is not allowed in a handler that interrupts a print()
    os.write(2, f'{text}\n'.encode())


def _in_child() -> None:
    global _watching
    if _watching:
        _watching = False
        protect_worker()


os.register_at_fork(after_in_child=_in_child)
