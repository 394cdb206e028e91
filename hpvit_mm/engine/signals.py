"""Signals that ask a run to end, heard also while it waits in C code."""
import os
import signal
import threading
import time
from typing import Optional

from hpvit_mm.cli import ASKING, end_now
from hpvit_mm.errors import PREEMPTED

# Launchers may pass on a signal that the process has got already.
SAME = 1.0  # seconds


class SignalWatch:
    """Notes that this process was asked to end, and sees that it does.

    A thread of its own reads the signals, because Python's handlers wait as
    long as the main thread does, for another process for instance. The second
    signal ends the process at once; and so does the first one after ``grace``
    seconds, unless it is :attr:`busy`: whatever it waits for, the scheduler
    would not. Nothing is lost by that but what came after the last
    checkpoint.

    Args:
        grace: Seconds.
    """

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self.received: Optional[int] = None  # the signal
        self.busy = False  # saving a checkpoint
        self.over = threading.Event()

    def start(self) -> None:
        """Listen, from the main thread."""
        self.read_end, write_end = os.pipe()
        os.set_blocking(write_end, False)
        self.before = {one: signal.signal(one, _nothing) for one in ASKING}
        self.fd_before = signal.set_wakeup_fd(write_end,
                                              warn_on_full_buffer=False)
        self.write_end = write_end
        global _watching
        _watching = True
        threading.Thread(target=self._listen, daemon=True).start()

    def stop(self) -> None:
        """Leave the signals to what handled them before."""
        if self.over.is_set():
            return
        self.over.set()
        global _watching
        _watching = False
        signal.set_wakeup_fd(self.fd_before)
        for one, handler in self.before.items():
            signal.signal(one, handler)
        os.close(self.write_end)  # ends the thread

    def _listen(self) -> None:
        while True:
            got = os.read(self.read_end, 1)
            if not got or self.over.is_set():
                os.close(self.read_end)
                return
            if got[0] not in ASKING:
                continue
            name = signal.Signals(got[0]).name
            if self.received is None:
                self.since = time.monotonic()
                self.received = got[0]
                _say(f'{name} received: this run will save its state and end '
                     'after the present iteration; a second signal ends it at '
                     'once')
                threading.Thread(target=self._limit, daemon=True).start()
            elif time.monotonic() - self.since > SAME:
                _say(f'{name} received again: this run ends at once')
                end_now(128 + got[0])

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
    """Let a process that loads data outlive the first SIGTERM of a scheduler.

    Schedulers signal all processes of a job, and the main one needs its data
    until it has saved its state. The second one ends it, and so does that of
    the main process, which sends it when it ends itself.
    """
    global _protected
    if _protected or not hasattr(signal, 'sigwaitinfo'):  # macOS
        return
    _protected = True
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # blocked, it is left to the thread, whatever handler torch sets
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=_wait_for_sigterm, daemon=True).start()


def _wait_for_sigterm() -> None:
    first = None
    while True:
        sender = signal.sigwaitinfo([signal.SIGTERM]).si_pid
        if sender == os.getppid():
            os._exit(0)
        if first is None:
            first = time.monotonic()
        elif time.monotonic() - first > SAME:
            os._exit(128 + signal.SIGTERM)


def _nothing(signum, frame) -> None:
    """The handler, which must exist for signals to be told to the thread."""


def _say(text: str) -> None:
    os.write(2, f'{text}\n'.encode())


def _in_child() -> None:
    """A forked process has no thread that listens."""
    global _watching
    if _watching:
        _watching = False
        signal.set_wakeup_fd(-1)
        protect_worker()


_watching = False
_protected = False
os.register_at_fork(after_in_child=_in_child)
