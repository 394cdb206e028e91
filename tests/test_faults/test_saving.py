"""A kill, or a full disk, at each step of saving a checkpoint."""
import os
import resource
import signal
import time
import zipfile
from pathlib import Path

import pytest
import torch
from harness import assert_equal
from mmengine.config import Config
from mmengine.fileio.backends import LocalBackend
from mmengine.runner import Runner

from hpvit_mm.engine.arguments import NEWEST
from hpvit_mm.engine.hooks import SafeCheckpointHook
from hpvit_mm.engine.resume import find_start
from hpvit_mm.errors import UserError

# What writing, naming and deleting is made of.
STEPS = [(os, 'fsync'), (os, 'replace'), (os, 'unlink'), (os, 'chmod'),
         (Path, 'write_text'), (zipfile.ZipFile, 'testzip')]
FEW = '''
train_cfg.update(max_iters=4, val_interval=2)
default_hooks.update(checkpoint=dict(
    interval=2, max_keep_ckpts=1, save_best='mIoU'))
'''


def kill_in_step(number: int, total: list = None):
    """Makes a process kill itself in front of a step, or in a write."""

    def prepare(rank: int) -> None:
        count = 0

        def step(path=None):
            nonlocal count
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

        def stepped(function):
            def call(*args, **kwargs):
                step()
                return function(*args, **kwargs)
            return call

        def put(self, obj, filepath):
            step()
            with open(filepath, 'wb') as file:
                file.write(obj[:len(obj) // 2])
                file.flush()
                step()
                file.write(obj[len(obj) // 2:])

        def write_file(self, *args):
            for owner, name in STEPS:  # from the first save on
                if not hasattr(owner, f'_was_{name}'):
                    setattr(owner, f'_was_{name}', getattr(owner, name))
                    setattr(owner, name, stepped(getattr(owner, name)))
            return original(self, *args)

        original = SafeCheckpointHook._write_file
        SafeCheckpointHook._write_file = write_file
        LocalBackend.put = put

    return prepare


def good_iteration(experiment):
    """Return the iteration that a resumed run begins at, None if at 0."""
    checkpoint, _ = find_start(
        Config(dict(work_dir=str(experiment.work_dir))), NEWEST, False)
    return checkpoint and torch.load(checkpoint)['meta']['iter']


def check_kill(number: int, make, alone) -> bool:
    """Kill in a step, and resume; returns whether there was that step."""
    killed = make('segmentation', FEW)
    status, = killed.start(before=kill_in_step(number)).wait()
    assert status in (-signal.SIGKILL, 0)
    if status == 0:
        return False
    done = [line[0] for line in killed.diary() if line[0] != 'val']
    # a checkpoint every two iterations: no more than that is done again
    if done[-1] > 2:
        assert good_iteration(killed) >= 2
    killed.run('--resume')
    assert killed.iterations() == alone.iterations()
    assert_equal(killed.final(), alone.final())
    names = sorted(path.name for path in killed.work_dir.iterdir()
                   if path.is_file() and path.suffix != '.py')
    assert names == ['best_mIoU_iter_4.pth', 'iter_4.pth', 'last_checkpoint',
                     'run.json'] or names[0].startswith('best_mIoU_iter_2')
    assert not list(killed.work_dir.glob('.*'))
    return True


@pytest.mark.slow
def test_a_kill_while_saving(experiment, left_alone):
    """A sample of all, with only one checkpoint kept."""
    assert check_kill(27, experiment, left_alone('segmentation', FEW))


@pytest.mark.slow
@pytest.mark.faults
def test_all_kills_while_saving(experiment, left_alone, fault_table):
    alone = left_alone('segmentation', FEW)
    number = 1
    while check_kill(number, experiment, alone):
        number += 1
    assert number > 30
    fault_table('kill -9 in front of each step of saving, one checkpoint kept',
                number - 1, number - 1)


def rank_1_is_late(rank: int) -> None:
    """It comes out of saving, where it has nothing to do, in the middle of
    what rank 0 does."""
    original = Runner.save_checkpoint

    def save_checkpoint(self, folder, name, **options):
        original(self, folder, name, **options)
        end = time.monotonic() + 10
        while rank == 1 and not Path(folder, name).exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        if rank == 0:
            time.sleep(0.5)

    Runner.save_checkpoint = save_checkpoint


@pytest.mark.slow
@pytest.mark.faults
def test_a_late_process(experiment):
    late = experiment('segmentation', FEW)
    late.run(before=rank_1_is_late, processes=2)
    assert good_iteration(late) == 4
    assert not list(late.work_dir.glob('.*'))


def full_disk(number: int):
    """No file grows beyond half of a checkpoint, from one save on."""

    def prepare(rank: int) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        original = SafeCheckpointHook._write_file
        count = 0

        def write_file(self, *args):
            nonlocal count
            count += 1
            if count == number:
                resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
            return original(self, *args)

        SafeCheckpointHook._write_file = write_file

    return prepare


@pytest.mark.faults
@pytest.mark.parametrize('number, processes', [(1, 1), (3, 1), (2, 2)])
def test_full_disk(number, processes, experiment, left_alone, fault_table):
    """The run ends, says so, keeps what was there, and can be resumed."""
    full = experiment('segmentation', FEW)
    log = full.run(before=full_disk(number), processes=processes, status=2)
    assert log.count('error: ') == 1
    assert 'cannot be written (File too large)' in log
    assert 'free some space, and continue with --resume' in log
    assert not list(full.work_dir.glob('.*'))
    assert good_iteration(full) == (2 if number > 1 else None)
    full.run('--resume', processes=processes)
    alone = left_alone('segmentation', FEW, processes)
    assert full.iterations() == alone.iterations()
    assert_equal(full.final(), alone.final())
    fault_table('full disk while saving', 1, 1)


def full_for_curves(rank: int) -> None:
    """From iteration 2 on there is no room for the curves."""
    if rank:  # it writes none
        return
    original = SafeCheckpointHook._write_file

    def write_file(self, runner, *args):
        for folder in Path(runner.work_dir).glob('*/vis_data'):
            (folder / 'scalars.json').unlink(missing_ok=True)
            (folder / 'scalars.json').symlink_to('/dev/full')
        return original(self, runner, *args)

    SafeCheckpointHook._write_file = write_file


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize('processes', [1, 2])
def test_full_disk_between_saves(processes, experiment, left_alone,
                                 fault_table):
    full = experiment('segmentation', FEW)
    log = full.run(before=full_for_curves, processes=processes, status=2)
    assert log.count('error: No space left on device: free some space') == 1
    assert 'Traceback' not in log
    assert good_iteration(full) == 2
    full.run('--resume', processes=processes)
    alone = left_alone('segmentation', FEW, processes)
    assert full.iterations() == alone.iterations()
    assert_equal(full.final(), alone.final())
    fault_table('full disk between saves', 1, 1)


@pytest.mark.slow
def test_a_full_disk_is_foreseen(experiment):
    """Before the first step."""
    def nearly_full(rank):
        import shutil
        real = shutil.disk_usage
        shutil.disk_usage = lambda path: real(path)._replace(free=100_000)

    full = experiment('segmentation')
    log = full.run(before=nearly_full, status=2)
    assert 'has no room for a checkpoint' in log
    assert not full.diary()


@pytest.mark.slow
def test_a_checkpoint_that_is_not_what_was_written(experiment):
    """A disk that loses bits; the old checkpoint stays."""
    def lossy(rank):
        def put(self, obj, filepath):
            obj = bytearray(obj)
            if Path(filepath).name != '.iter_2.pth.part':
                obj[len(obj) // 2] ^= 1
            Path(filepath).write_bytes(obj)
        LocalBackend.put = put

    run = experiment('segmentation', FEW.replace("'mIoU'", 'None'))
    log = run.run(before=lossy, status=2)
    assert 'is not what was written' in log
    assert good_iteration(run) == 2


def test_only_local_folders():
    with pytest.raises(UserError, match='local folders only'):
        SafeCheckpointHook(out_dir='s3://bucket/runs')
    with pytest.raises(UserError, match='local folders only'):
        SafeCheckpointHook(backend_args=dict(backend='petrel'))
