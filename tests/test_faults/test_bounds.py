"""Memory, files and logs of long runs."""
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from harness import DiaryHook
from mmengine.hooks import Hook

from hpvit_mm.registry import HOOKS

LONG = '''
train_cfg = dict(_delete_=True, type='hpvit_mm.ResumableIterLoop',
                 max_iters={iterations}, val_interval=100000)
param_scheduler = []
train_dataloader.update(
    batch_size=1, num_workers={workers}, persistent_workers={workers} > 0,
    sampler=dict(type='InfiniteSampler'))
custom_hooks = [dict(type='hpvit_mm.MeterHook', interval={interval})]
default_hooks.update(checkpoint=dict(
    by_epoch=False, interval={interval}, max_keep_ckpts=2, save_best=None))
log_processor = dict(by_epoch=False)
'''


@HOOKS.register_module()
class MeterHook(Hook):
    """Notes memory and open files now and then."""

    def __init__(self, interval: int) -> None:
        self.interval = interval

    def after_train_iter(self, runner, **kwargs) -> None:
        if not self.every_n_train_iters(runner, self.interval):
            return
        pages = int(Path('/proc/self/statm').read_text().split()[1])
        with open(Path(runner.work_dir).parent / 'meter', 'a') as file:
            print(runner.iter + 1, pages * os.sysconf('SC_PAGESIZE'),
                  len(os.listdir('/proc/self/fd')),
                  len(os.listdir('/proc/self/task')), file=file)


def measure(experiment, iterations: int, workers: int) -> list:
    run = experiment('classification', LONG.format(
        iterations=iterations, workers=workers, interval=iterations // 10))
    run.run(limit=60 + iterations / 2)
    lines = [[int(one) for one in line.split()] for line in
             (run.folder / 'meter').read_text().splitlines()]
    logs = sum(path.stat().st_size for path in run.work_dir.rglob('*')
               if path.suffix in ('.log', '.json'))
    assert len(lines) == 10
    assert len(list(run.work_dir.glob('*.pth'))) == 2
    for _, _, files, threads in lines[1:]:  # the first save is over
        assert (files, threads) == tuple(lines[-1][2:])
    # lines of some 420 bytes in three logs for each 15 iterations
    assert logs < 60_000 + iterations / 15 * 500
    return [line[1] for line in lines]


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize('workers', [0, 2])
def test_5000_iterations(workers, experiment, fault_table):
    memory = measure(experiment, 5000, workers)
    assert memory[-1] - memory[4] < 4e6, memory
    fault_table(f'5,000 iterations, {workers} workers', 1, 1,
                f'{(memory[-1] - memory[4]) / 1e6:+.1f} MB of memory from '
                'iteration 2,500 on; files and threads as before')


LATE = '''
train_cfg.update(max_iters=150004, val_interval=200000)
train_dataloader.update(num_workers=2)
'''


@pytest.mark.slow
def test_late_iterations(experiment, fault_table):
    """A run resumes there in seconds: nothing before is loaded again."""
    late = experiment('segmentation', LATE)
    late.run(before=stop_at_4, status=75)
    path, = late.work_dir.glob('*_4.pth')
    content = torch.load(path)
    content['meta']['iter'] = 150000
    torch.save(content, path.with_name('iter_150000.pth'))
    start = time.monotonic()
    late.run('--resume')
    seconds = time.monotonic() - start
    assert seconds < 60  # to load the data again would take many minutes
    assert [line[0] for line in late.diary()] == [
        1, 2, 3, 4, 150001, 150002, 150003, 150004, 'val']
    fault_table('resumed at iteration 150,000', 1, 1,
                f'it took {seconds:.0f} s, four iterations and the start of '
                'two workers included')


def stop_at_4(rank: int) -> None:
    """Ask the run to end, as a scheduler does."""
    original = DiaryHook.after_train_iter

    def after_train_iter(self, runner, *args, **kwargs):
        original(self, runner, *args, **kwargs)
        if runner.iter == 3:
            signal.raise_signal(signal.SIGTERM)

    DiaryHook.after_train_iter = after_train_iter
