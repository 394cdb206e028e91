"""Run commands, several at a time, each once; continue after a stop.

A step ``NAME`` leaves three things in the work dir: ``NAME.log``, the output
of the command; ``NAME.json``, the record that it ran; and the folder
``NAME`` with its results.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence

from rich.console import Console
from rich.text import Text

from hpvit_mm.errors import UserError
from hpvit_mm.utils import locked

LOCK = '.quickstart.lock'
PATIENCE = 20  # seconds that a command has to end after SIGTERM


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        name: Place below the work dir.
        title: Description on the screen.
        command: The arguments of Python.
        key: Digest of everything that decides the result.
        output: A file that exists after the command has succeeded.
        metric: The test metric to read: (key, name, format).
        resumable: Whether the command continues with ``--resume``.
    """
    name: str
    title: str
    command: Sequence[str]
    key: str
    output: Optional[Path] = None
    metric: Optional[tuple] = None
    resumable: bool = False


class StepFailed(Exception):
    """A command failed: the text for the user, and the exit status."""

    def __init__(self, text: str, status: int = 1):
        super().__init__(text)
        self.status = status


class Screen:
    """Finished steps above a status on a terminal; else plain lines."""
    INTERVAL = 20  # seconds between the plain lines

    def __init__(self):
        self.console = Console(highlight=False, markup=False)
        self.status = self.console.status('')
        self.last = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.console.print(text, soft_wrap=True)

    def show(self, lines: Sequence[str]) -> None:
        """Show what is running."""
        if self.console.is_terminal:
            self.status.update(Text('\n'.join(lines)))
            self.status.start()
        elif time.monotonic() > self.last + self.INTERVAL:
            self.last = time.monotonic()
            self.say('    ' + '; '.join(lines))


class Runner:
    """Runs lanes of steps: the steps of a lane one after the other.

    Args:
        lanes: Lists of steps.
        work_dir: The folder for everything.
        screen: Where to report.
        at_once: Number of lanes that run at the same time.
        threads: ``OMP_NUM_THREADS`` of each command, unless it is set.
    """

    def __init__(self, lanes: Sequence[Sequence[Step]], work_dir: Path,
                 screen: Screen, at_once: int = 1, threads: int = 1):
        self.lanes = [list(lane) for lane in lanes]
        self.work_dir, self.screen = Path(work_dir), screen
        self.at_once, self.threads = at_once, threads
        self.records: Dict[str, dict] = {}
        self.running: Dict[str, float] = {}  # name -> time of its start
        for lane in self.lanes:  # a step is redone after one that is redone
            for step in lane:
                record = self._record(step)
                if not self._is_done(step, record):
                    break
                self.records[step.name] = record

    def run(self) -> Dict[str, dict]:
        """Run every step that is not done.

        Returns:
            The record of each step, with its 'seconds' and 'metrics'.

        Raises:
            StepFailed: When a command fails; the other ones are stopped.
        """
        waiting = list(self.lanes)
        active: List[Iterator] = []
        try:
            while waiting or active:
                while waiting and len(active) < self.at_once:
                    active.append(self._lane(waiting.pop(0)))
                active = [lane for lane in active if next(lane, 'end') is None]
                self._show()
                time.sleep(0.2)
        finally:
            for lane in active:
                lane.close()
            self.screen.status.stop()
        return self.records

    def _lane(self, lane: Sequence[Step]) -> Iterator[None]:
        """Run the steps of a lane; yields while one of them runs."""
        for step in lane:
            note = 'done before'
            if step.name not in self.records:
                yield from self._do(step)
                note = clock(self.records[step.name]['seconds'])
            self.screen.say(f'{step.title}: {note}'
                            + result(step, self.records[step.name]))

    def _do(self, step: Step) -> Iterator[None]:
        log, record = self._path(step, '.log'), self._record(step)
        command, before = list(step.command), 0.
        if step.resumable and record.get('key') == step.key:
            before = record['seconds']
            command.append('--resume')
        else:
            if record.get('status') == 'done' and record['key'] != step.key:
                self.screen.say(f'{step.title}: repeated, because its config, '
                                'the code or a package has changed')
            shutil.rmtree(self._path(step), ignore_errors=True)
            log.unlink(missing_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        record = dict(key=step.key, status='running', seconds=before)
        self._write(step, record)
        env = dict(os.environ, PYTHONUNBUFFERED='1')
        env.setdefault('OMP_NUM_THREADS', str(self.threads))
        began = self.running[step.name] = time.monotonic()
        with open(log, 'ab') as file:
            # In a session of its own: Ctrl-C reaches only this process.
            process = subprocess.Popen(
                [sys.executable, *command], env=env, stdout=file,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True)
        try:
            while process.poll() is None:
                yield
        finally:
            stop(process)
            del self.running[step.name]
            record['seconds'] = before + time.monotonic() - began
            self._write(step, record)
        if process.returncode:
            raise failure(step, process.returncode, log)
        if step.output and not step.output.exists():
            raise StepFailed(f'{step.title}: exited with status 0 but did not '
                             f'write {step.output}; the log is {log}')
        if step.metric:
            record['metrics'] = read_metrics(step, self._path(step))
        record['status'] = 'done'
        self._write(step, record)
        self.records[step.name] = record

    def _show(self) -> None:
        now = time.monotonic()
        lines = [f'{step.title} {clock(now - self.running[step.name])}'
                 + training_state(self._path(step, '.log'))
                 for lane in self.lanes for step in lane
                 if step.name in self.running]
        if lines:
            self.screen.show(lines)

    def _path(self, step: Step, ending: str = '') -> Path:
        return self.work_dir / (step.name + ending)

    def _record(self, step: Step) -> dict:
        try:
            return dict(json.loads(self._path(step, '.json').read_text()))
        except (OSError, ValueError):
            return {}

    def _write(self, step: Step, record: dict) -> None:
        path = self._path(step, '.json')
        new = path.with_suffix('.new')
        new.write_text(json.dumps(record))
        new.replace(path)

    def _is_done(self, step: Step, record: dict) -> bool:
        return (record.get('status') == 'done' and record['key'] == step.key
                and (step.output is None or step.output.exists()))


def stop(process: subprocess.Popen) -> None:
    """End a process and those that it has started."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, kind)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pass


def failure(step: Step, status: int, log: Path) -> StepFailed:
    """Describe a failed command: its own error, or the end of its log."""
    lines = [line for line in log.read_text(errors='replace').split('\n')
             if line.strip()]
    if lines and lines[-1].startswith('error: '):  # the tool's own sentence
        return StepFailed(f'{step.title}: {lines[-1][len("error: "):]} '
                          f'(log: {log})', max(status, 1))
    what = f'exited with status {status}'
    if status < 0:
        what = f'was killed by signal {-status}'
        if status == -signal.SIGKILL:
            what += ', perhaps for lack of memory'
    tail = ''.join(f'\n    {line}' for line in lines[-15:])
    return StepFailed(f'{step.title}: {what}; the log is {log}, and its last '
                      f'lines are{tail}')


def read_metrics(step: Step, folder: Path) -> dict:
    """The metrics that mmengine's logger hook writes after a test."""
    path = max(folder.glob('*/*.json'), default=None)
    metrics = json.loads(path.read_text()) if path else {}
    if step.metric[0] not in metrics:
        raise StepFailed(f'{step.title}: {folder}/*/*.json has no '
                         f'{step.metric[0]}')
    return metrics


def training_state(log: Path) -> str:
    """Return the loss and the time left that a training logged last, if any.
    """
    with open(log, 'rb') as file:
        file.seek(max(0, log.stat().st_size - 4000))
        text = file.read().decode(errors='replace')
    lines = re.findall(r'\(train\).* eta: (.+?)  .* loss: (\S+)', text)
    return ', {} left, loss {}'.format(*lines[-1]) if lines else ''


def result(step: Step, record: dict) -> str:
    """The metric of a step for the screen."""
    if not step.metric:
        return ''
    key, name, form = step.metric
    return f', {name} {form.format(record["metrics"][key])}'


@contextmanager
def sole_user(work_dir: Path) -> Iterator[None]:
    """Make the work dir and lock it.

    Raises:
        UserError: When it cannot be written, holds something else, or
            another quick start uses it.
    """
    with ExitStack() as stack:
        try:
            work_dir.mkdir(parents=True, exist_ok=True)
            if not (work_dir / LOCK).exists() and any(work_dir.iterdir()):
                raise UserError(
                    f'the folder {work_dir} holds something other than a '
                    'quick start: name another one with --work-dir')
            stack.enter_context(locked(work_dir / LOCK))
        except BlockingIOError:
            raise UserError(f'another quick start uses {work_dir}: wait until '
                            'it ends, or stop it') from None
        except OSError as error:
            raise UserError(
                f'the folder {work_dir} cannot be written '
                f'({error.strerror or error}): make it writable, or name '
                'another one with --work-dir') from None
        yield


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    return '{}:{:02d}'.format(*divmod(round(seconds), 60))
