"""Runs of tools/train.py in forks of this process, which are made to fail.

A fork has all imports done, so that a run takes a second or two. All else is
real: the tool, its checks, the libraries, processes that load data, gloo.
"""
import contextlib
import gc
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from tiny_experiments import folder_of_data, write_config

from hpvit_mm.registry import HOOKS

LIMIT = 240  # seconds; a run that takes longer hangs

# Added to the tiny experiments: a diary, and all that is random.
RANDOM = '''
model['backbone'].update(drop_path_rate=0.3)
custom_hooks = [dict(type='hpvit_mm.DiaryHook')]
randomness = dict(seed=3)
'''
MORE = dict(
    classification='''
model.update(train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8),
                                      dict(type='CutMix', alpha=1.0)]))
train_dataloader.update(batch_size=4)
auto_scale_lr.update(base_batch_size=4)
train_cfg = dict(max_epochs=3, val_interval=2)
default_hooks = dict(checkpoint=dict(save_best='accuracy/top1'))
''',
    segmentation='''
train_dataloader.update(batch_size=2)
train_cfg = dict(max_iters=12, val_interval=8)
default_hooks = dict(checkpoint=dict(interval=4, save_best='mIoU'))
''',
    detection='''
train_dataloader.update(
    batch_size=2, batch_sampler=dict(type='AspectRatioBatchSampler'))
train_cfg = dict(max_epochs=2, val_interval=2)
''')


@HOOKS.register_module()
class DiaryHook(Hook):
    """Notes each iteration in a file, at once: the images and the losses."""

    priority = 'LOW'

    def before_train(self, runner):
        self.file = f'{Path(runner.work_dir).parent}/diary.{runner.rank}'

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        inputs = data_batch['inputs']
        if not isinstance(inputs, torch.Tensor):
            inputs = torch.cat([one.flatten() for one in inputs])
        line = [runner.iter + 1, float(inputs.double().sum()).hex(),
                float(inputs.double().flatten()[::7].sum()).hex(),
                *(float(value.detach()).hex() for value in outputs.values())]
        write(self.file, line)

    def after_val_epoch(self, runner, metrics=None):
        write(self.file, ['val', runner.iter,
              {key: float(value) for key, value in metrics.items()}])


def write(path: str, line: list) -> None:
    """Append a line that a killed process leaves behind."""
    with open(path, 'ab', buffering=0) as file:
        file.write(json.dumps(line).encode() + b'\n')


class Experiment:
    """A tiny experiment in a folder of its own.

    Args:
        folder: The folder.
        kind: 'classification', 'detection' or 'segmentation'.
        samples: The folder of all sample data.
        more: Lines to add to its config.
    """

    def __init__(self, folder: Path, kind: str, samples: Path,
                 more: str = '') -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.work_dir = folder / 'work'
        self.config = folder / f'{kind}.py'
        write_config(self.config, kind, folder_of_data(kind, samples),
                     self.work_dir, RANDOM + MORE[kind] + more)
        self.count = 0

    def start(self, *flags: str, processes: int = 1,
              before: Callable[[int], None] = lambda rank: None
              ) -> 'Running':
        """Start tools/train.py in forks; ``before(rank)`` runs in each."""
        self.count += 1
        return Running(
            [str(self.config), *map(str, flags)], processes, before,
            self.folder / f'log_{self.count}.txt')

    def run(self, *flags: str, status: int = 0, limit: float = LIMIT,
            **options) -> str:
        """Run to the end, with this exit status; returns the log."""
        running = self.start(*flags, **options)
        found = running.wait(limit)
        log = running.log.read_text()
        assert set(found) == {status}, (found, log[-4000:])
        return log

    def diary(self, rank: int = 0) -> List[list]:
        """Return the notes, line by line."""
        path = self.folder / f'diary.{rank}'
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_bytes().splitlines()]

    def iterations(self, rank: int = 0) -> Dict[int, list]:
        """Iteration -> what was noted; all times that it ran must agree."""
        found = {}
        for number, *rest in self.diary(rank):
            if number != 'val':
                assert found.setdefault(number, rest) == rest, (
                    f'iteration {number} of rank {rank} is another one')
        return found

    def final(self) -> dict:
        """The last checkpoint, without what tells the time and place."""
        content = torch.load(
            self.work_dir / (self.work_dir / 'last_checkpoint').read_text())
        return comparable(content)


class Running:
    """Forks of this process in which tools/train.py runs."""

    def __init__(self, argv: Sequence[str], processes: int,
                 before: Callable[[int], None], log: Path) -> None:
        self.log = log
        # of those that are killed: files of configs, sockets of workers
        self.temporary = tempfile.mkdtemp()
        port = free_port()
        self.pids = []
        # the collector of a fork would touch, and so copy, all objects
        gc.freeze()
        for rank in range(processes):
            pid = os.fork()
            if pid == 0:
                self._child(list(argv), rank, processes, port, before)
            with contextlib.suppress(OSError):  # whoever comes first
                os.setpgid(pid, pid)
            self.pids.append(pid)
        self.statuses: Dict[int, int] = {}

    def _child(self, argv, rank, processes, port, before) -> None:
        try:
            os.setpgid(0, 0)
            tempfile.tempdir = self.temporary
            file = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for stream in (1, 2):
                os.dup2(file, stream)
            sys.stdout = os.fdopen(1, 'w', buffering=1)
            sys.stderr = os.fdopen(2, 'w', buffering=1)
            # those of other tests write to what pytest has closed
            MMLogger._instance_dict.clear()
            if processes > 1:
                os.environ.update(
                    RANK=str(rank), LOCAL_RANK=str(rank),
                    WORLD_SIZE=str(processes), MASTER_ADDR='127.0.0.1',
                    MASTER_PORT=str(port))
                argv += ['--launcher', 'pytorch']
            from hpvit_mm.cli import finish, run_tool
            from hpvit_mm.engine.run import train
            before(rank)
            finish(lambda: run_tool(lambda: train(argv)))
        except SystemExit as end:
            os._exit(end.code)
        finally:
            os._exit(99)

    def poll(self) -> Dict[int, int]:
        """Rank -> status of those that have ended; -9 for SIGKILL."""
        for rank, pid in enumerate(self.pids):
            if rank in self.statuses:
                continue
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self.statuses[rank] = os.waitstatus_to_exitcode(status)
        return self.statuses

    def wait(self, limit: float = LIMIT) -> List[int]:
        """Statuses by rank; when one fails the others are ended, as a
        launcher does."""
        end = time.monotonic() + limit
        failed = None
        while len(self.poll()) < len(self.pids):
            if failed is None and any(self.statuses.values()):
                failed = time.monotonic()
            if failed and time.monotonic() - failed > 5:
                self.kill()
            if time.monotonic() > end:
                self.kill()
                raise AssertionError(
                    f'hangs:\n{self.log.read_text()[-3000:]}')
            time.sleep(0.01)
        shutil.rmtree(self.temporary, ignore_errors=True)
        return [self.statuses[rank] for rank in range(len(self.pids))]

    def kill(self, ranks: Optional[Sequence[int]] = None) -> None:
        """kill -9, of whole processes with all that they have started."""
        for rank in range(len(self.pids)) if ranks is None else ranks:
            if rank not in self.poll():
                os.killpg(self.pids[rank], signal.SIGKILL)

    def signal(self, number: int, rank: int = 0) -> None:
        """Signal one process, but not those that load its data."""
        os.kill(self.pids[rank], number)


def kill_at(running: Running, experiment: Experiment, lines: int,
            delay: float) -> bool:
    """kill -9 when the diary has so many lines more, and after a delay.

    Returns:
        Whether the run was still going on.
    """
    path = experiment.folder / 'diary.0'

    def count():
        return path.read_bytes().count(b'\n') if path.exists() else 0

    goal = count() + lines
    end = time.monotonic() + LIMIT
    while count() < goal and len(running.poll()) < len(running.pids):
        assert time.monotonic() < end, 'hangs'
        time.sleep(0.002)
    time.sleep(delay)
    ended = len(running.poll()) == len(running.pids)
    running.kill()
    statuses = running.wait()
    assert not ended or set(statuses) == {0}, running.log.read_text()[-3000:]
    return not ended


def comparable(content: dict) -> dict:
    """A checkpoint without what tells time, place, and speed."""
    content = dict(content)
    content['meta'] = {key: value for key, value in content['meta'].items()
                       if key not in ('time', 'cfg', 'experiment_name')}
    hub = content['message_hub']
    hub['runtime_info'] = {
        key: value for key, value in hub['runtime_info'].items()
        if key not in ('cfg', 'experiment_name', 'mmengine_version')
        and not key.startswith(('best_ckpt', 'last_ckpt'))}
    hub['log_scalars'] = {
        key: value for key, value in hub['log_scalars'].items()
        if 'time' not in key and not key.startswith('val/')
        and 'memory' not in key}
    return content


def assert_equal(one, other, path: str = '') -> None:
    """Nested values must be equal to the last bit."""
    if isinstance(one, torch.Tensor):
        assert isinstance(other, torch.Tensor) and one.dtype == other.dtype \
            and torch.equal(one, other), path
    elif isinstance(one, dict):
        assert list(one) == list(other), (path, list(one), list(other))
        for key in one:
            assert_equal(one[key], other[key], f'{path}.{key}')
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), path
        for i, pair in enumerate(zip(one, other)):
            assert_equal(*pair, f'{path}.{i}')
    else:
        assert one == other or one != one and other != other, (
            path, one, other)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]
