"""Runs a list of commands, once each, and continues where it was stopped.

A step ``name`` keeps three things in the work dir: ``name.log``, what the
command printed; ``name.json``, its stamp (see stamps.py); and the folder
``name``, what the command made.
"""
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from hpvit_mm.errors import UserError
from hpvit_mm.utils import usable_cores

from .progress import LogReader, Screen, TimeLeft, clock
from .stamps import (DONE, RUNNING, changed, digest_files, read_json,
                     write_json)

# More threads than this only get into each other's way on small pictures.
MAX_THREADS = 8
# Seconds that a command has to end by itself when it is asked to.
PATIENCE = 10


@dataclass(frozen=True)
class Step:
    """One command and what it is made from.

    Attributes:
        name: Place below the work dir.
        title: What it does, for the screen.
        command: The arguments of Python.
        typical: The seconds it takes on two cores.
        origins: Name -> fingerprint of what decides the result.
        needs: The steps whose outputs it reads.
        outputs: The files that it leaves behind when it succeeds.
        metrics: The JSON file of metrics among them, if any.
        metric: The metric to show, and how: (key, words, format).
        resumable: Whether the command continues with ``--resume``.
        always: Whether to run it even when it is finished, because the
            command itself knows better.
    """
    name: str
    title: str
    command: Sequence[str]
    typical: float
    origins: Dict[str, str] = field(default_factory=dict)
    needs: Sequence[str] = ()
    outputs: Sequence[Path] = ()
    metrics: Optional[Path] = None
    metric: Optional[tuple] = None
    resumable: bool = False
    always: bool = False


class StepFailed(Exception):
    """A command that did not succeed: what to tell, and the exit status."""

    def __init__(self, text: str, status: int):
        super().__init__(text)
        self.status = status


class Runner:
    """Runs steps in their order.

    Args:
        steps: What to do.
        work_dir: The folder for everything.
        screen: Where to tell about it.
    """

    def __init__(self, steps: Sequence[Step], work_dir: Path,
                 screen: Screen):
        self.steps = steps
        self.work_dir = Path(work_dir)
        self.screen = screen
        self.stamps = {}
        self.time_left = TimeLeft({step.name: step.typical
                                   for step in steps})
        self._foresee()

    def run(self) -> Dict[str, dict]:
        """Do what is to be done.

        Returns:
            The stamps of all steps, by name.

        Raises:
            StepFailed: When a command fails; what was finished stays so.
        """
        for number, step in enumerate(self.steps, 1):
            self.screen.begin(number, step.title)
            origins = self._origins(step)
            stamp = self._stamp(step)
            if self._is_finished(step, stamp, origins):
                self.screen.end(_result(step, stamp) + 'done before')
            else:
                self.time_left.taken.pop(step.name, None)
                stamp = self._do(step, stamp, origins)
            self.stamps[step.name] = stamp
            if step.always:  # it says nothing about the machine's speed
                self.time_left.typical[step.name] = stamp['seconds']
            self.time_left.finish(step.name, stamp['seconds'])
        return self.stamps

    def _foresee(self) -> None:
        """Tell the estimate which steps will have nothing to do."""
        todo = set()
        for step in self.steps:
            stamp = self._stamp(step)
            if (todo & set(step.needs)
                    or not self._is_finished(step, stamp, step.origins)):
                if not step.always:
                    todo.add(step.name)
                elif stamp.get('status') == DONE:
                    # it will most likely find that all is there
                    self.time_left.typical[step.name] = 1
            else:
                self.time_left.finish(step.name, stamp['seconds'])

    def _stamp(self, step: Step) -> dict:
        return read_json(self._path(step, '.json')) or {}

    def _path(self, step: Step, ending: str = '') -> Path:
        return self.work_dir / (step.name + ending)

    def _origins(self, step: Step) -> dict:
        needs = {name: self.stamps[name]['made'] for name in step.needs}
        return dict(step.origins, command=' '.join(step.command), **needs)

    def _is_finished(self, step: Step, stamp: dict, origins: dict) -> bool:
        return (not step.always and stamp.get('status') == DONE
                and not changed(stamp, origins)
                and all(Path(path).exists() for path in step.outputs))

    def _do(self, step: Step, stamp: dict, origins: dict) -> dict:
        again = stamp.get('status') == RUNNING and not changed(stamp, origins)
        before = self._seconds_before(step, stamp) if again else 0.
        if not (again and step.resumable):
            self._clear(step, stamp, origins, again)
        stamp = dict(status=RUNNING, title=step.title,
                     command=list(step.command), origins=origins,
                     started=time.time(), seconds=before)
        write_json(self._path(step, '.json'), stamp)
        command = list(step.command)
        if again and step.resumable:
            command.append('--resume')
            self.screen.say(f'        continues after {clock(before)}')
        began = time.monotonic()
        self._call(step, command)
        stamp.update(
            status=DONE, seconds=before + time.monotonic() - began,
            made=digest_files(step.outputs), metrics=_metrics(step))
        write_json(self._path(step, '.json'), stamp)
        self.screen.end(_result(step, stamp) + clock(stamp['seconds']))
        return stamp

    def _seconds_before(self, step: Step, stamp: dict) -> float:
        """What an interrupted attempt has taken, until its last sign."""
        try:
            last = self._path(step, '.log').stat().st_mtime
        except OSError:
            last = stamp['started']
        return stamp['seconds'] + max(0., last - stamp['started'])

    def _clear(self, step: Step, stamp: dict, origins: dict,
               again: bool) -> None:
        """Make room. Results are moved aside, beginnings are removed."""
        old = [path for path in (self._path(step, ending)
                                 for ending in ('', '.log', '.json'))
               if path.exists()]
        if not old or step.always:
            return
        if again:
            for path in old:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            return
        number = 1
        while (place := self.work_dir / 'earlier'
               / f'{step.name}-{number}').exists():
            number += 1
        place.mkdir(parents=True)
        # The stamp goes first: without it the rest counts as unfinished.
        for path in reversed(old):
            path.rename(place / path.name)
        reasons = ', '.join(changed(stamp, origins)) if stamp else 'record'
        self.screen.say(
            f'        is redone, because of a change ({reasons or "outputs"}'
            f'); what there was is now in {place}')

    def _call(self, step: Step, command: List[str]) -> None:
        log = self._path(step, '.log')
        log.parent.mkdir(parents=True, exist_ok=True)
        if step.always:
            log.unlink(missing_ok=True)
        reader = LogReader(log, step.metric and step.metric[0])
        began = time.monotonic()
        with open(log, 'ab') as file:
            process = start(command, file)
        try:
            while not _ended(process, 0.5):
                reader.update()
                elapsed = time.monotonic() - began
                self.screen.progress(
                    elapsed, self.time_left.left(
                        step.name, elapsed, reader.seconds_left()),
                    _note(step, reader))
        finally:
            stop(process)
        if process.returncode:
            raise self._failure(step, process.returncode, log)
        missing = [path for path in step.outputs if not Path(path).exists()]
        if missing:
            raise StepFailed(
                f'{step.title}: ended well but left no {missing[0]}; its log '
                f'is {log}', 1)

    def _failure(self, step: Step, status: int, log: Path) -> StepFailed:
        lines = [line for line in log.read_text(errors='replace').split('\n')
                 if line.strip()]
        if lines and lines[-1].startswith('error: '):
            # the tool has said in one sentence what is wrong
            return StepFailed(
                f'{step.title}: {lines[-1][len("error: "):]} (log: {log})',
                status)
        what = f'ended with status {status}'
        if status < 0:
            what = f'was killed by signal {-status}'
            if status == -signal.SIGKILL:
                what += ', perhaps for lack of memory'
        tail = ''.join(f'\n    {line}' for line in lines[-15:])
        return StepFailed(
            f'{step.title}: {what}; the log is {log} and ends with{tail}', 1)


def start(command: Sequence[str], log) -> subprocess.Popen:
    """Start Python with some arguments, in a process group of its own.

    A Ctrl-C then reaches only this process, which stops the other.
    """
    env = dict(os.environ, PYTHONUNBUFFERED='1')
    env.setdefault('OMP_NUM_THREADS', str(min(usable_cores(), MAX_THREADS)))
    return subprocess.Popen(
        [sys.executable, *command], env=env, stdout=log,
        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        start_new_session=True, preexec_fn=_die_with_parent)


def stop(process: subprocess.Popen) -> None:
    """End a process and those that it has started."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, kind)
        _ended(process, PATIENCE)


def _ended(process: subprocess.Popen, timeout: float) -> bool:
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        return False
    return True


def _die_with_parent() -> None:
    """Ask Linux to interrupt this process when the one that started it dies.

    Else, after a ``kill -9``, a training would go on unseen, and the next
    quick start would begin a second one in the same folder. An interrupt lets
    it take its data workers with it; they can hang when it is killed.
    """
    # a shell makes what it starts with & ignore interrupts
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG
    except (OSError, AttributeError):  # not Linux
        pass


def _note(step: Step, reader: LogReader) -> str:
    notes = []
    if reader.loss is not None:
        notes.append(f'loss {reader.loss:.3f}')
    if reader.value is not None:
        _, words, form = step.metric
        notes.append(f'{words} {form.format(reader.value)}')
    return ', '.join(notes)


def _metrics(step: Step) -> Optional[dict]:
    if step.metrics is None:
        return None
    metrics = read_json(step.metrics) or {}
    if step.metric and step.metric[0] not in metrics:
        raise StepFailed(
            f'{step.title}: its {step.metrics} lacks {step.metric[0]}', 1)
    return metrics


def _result(step: Step, stamp: dict) -> str:
    if not (step.metric and stamp.get('metrics')):
        return ''
    key, words, form = step.metric
    return f'{words} {form.format(stamp["metrics"][key])}  '


@contextmanager
def sole_user(work_dir: Path):
    """Make a folder, and keep others of this kind out of it meanwhile.

    Raises:
        UserError: When it cannot be written, or another process is there.
    """
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        lock = open(work_dir / '.lock', 'w')
    except OSError as error:
        raise UserError(
            f'the folder {work_dir} cannot be written '
            f'({(error.strerror or str(error)).lower()}): make it writable, '
            'or name another one') from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f'another quick start is at work in {work_dir}: wait until '
                'it ends, or stop it') from None
        except OSError:
            pass  # some network file systems have no locks
        yield
