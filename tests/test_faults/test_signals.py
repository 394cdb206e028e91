"""Schedulers that ask a run to end."""
import multiprocessing
import os
import signal
import subprocess
import time

import pytest
import torch
from harness import LIMIT, assert_equal

from hpvit_mm.engine.hooks import PreemptionHook
from hpvit_mm.engine.signals import protect_worker
from hpvit_mm.errors import UserError

# Two processes that load data, so that these get the signal, too.
LOADING = 'train_dataloader.update(num_workers=2)\n'


def wait_for(experiment, running, enough):
    """Wait until the diary has what is waited for."""
    end = time.monotonic() + LIMIT
    while not enough(experiment.diary()):
        assert time.monotonic() < end and not running.poll(), \
            running.log.read_text()[-3000:]
        time.sleep(0.002)


def in_iteration(number):
    return lambda diary: len(diary) >= number


def check_end(experiment, running, seconds=30):
    """All end with status 75 in time; what they have done is saved."""
    begin = time.monotonic()
    assert set(running.wait()) == {75}, running.log.read_text()[-3000:]
    assert time.monotonic() - begin < seconds
    log = running.log.read_text()
    assert 'Traceback' not in log
    assert log.count('This run ends because it was asked to') == 1
    return log


@pytest.mark.slow
@pytest.mark.parametrize('number, processes, rank, kind', [
    (signal.SIGUSR1, 2, 1, 'segmentation'),
    pytest.param(signal.SIGTERM, 1, 0, 'classification',
                 marks=pytest.mark.faults),
    pytest.param(signal.SIGUSR1, 1, 0, 'segmentation',
                 marks=pytest.mark.faults),
    pytest.param(signal.SIGTERM, 2, 0, 'classification',
                 marks=pytest.mark.faults)])
def test_one_signal(number, processes, rank, kind, experiment, left_alone,
                    fault_table):
    """To one process: all finish the same iteration and save it."""
    asked = experiment(kind, LOADING)
    running = asked.start(processes=processes)
    wait_for(asked, running, in_iteration(3))
    running.signal(number, rank)
    check_end(asked, running)
    done = [asked.diary(one)[-1][0] for one in range(processes)]
    assert len(set(done)) == 1  # the same everywhere
    asked.run('--resume', processes=processes)
    # nothing was done twice
    assert [line[0] for line in asked.diary() if line[0] != 'val'] \
        == list(range(1, len(asked.iterations()) + 1))
    alone = left_alone(kind, LOADING, processes)
    for one in range(processes):
        assert asked.iterations(one) == alone.iterations(one)
    assert_equal(asked.final(), alone.final())
    assert not list(asked.work_dir.glob('interim*'))
    fault_table(f'{signal.Signals(number).name} to rank {rank} of '
                f'{processes}', 1, 1)


WITHIN = '''
optim_wrapper = dict(accumulative_counts=3, clip_grad=dict(max_norm=1.0))
custom_hooks = custom_hooks + [dict(type='EMAHook', momentum=0.1)]
'''


@pytest.mark.faults
@pytest.mark.parametrize('processes', [1, 2])
def test_within_an_update(processes, experiment, left_alone):
    """Gradients of each process that wait for others, and averaged weights."""
    asked = experiment('classification', WITHIN)
    running = asked.start(processes=processes)
    wait_for(asked, running, in_iteration(4))
    running.signal(signal.SIGTERM)
    check_end(asked, running)
    path, = asked.work_dir.glob('interim*')
    if int(path.stem.rpartition('_')[2]) % 3:
        assert len(torch.load(path)['gradients']) == processes
    asked.run('--resume', processes=processes)
    alone = left_alone('classification', WITHIN, processes)
    for rank in range(processes):
        assert asked.iterations(rank) == alone.iterations(rank)
    assert_equal(asked.final(), alone.final())


@pytest.mark.slow
def test_a_signal_to_all_that_belongs_to_a_job(experiment):
    """As slurm sends it: the processes that load data outlive it."""
    asked = experiment('classification', LOADING)
    running = asked.start(processes=2)
    wait_for(asked, running, in_iteration(2))
    for rank in (0, 1):
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM):
            os.killpg(running.pids[rank], number)
    check_end(asked, running)


@pytest.fixture
def worker():
    """A process that loads data, forever."""
    def load(ready):
        protect_worker()
        ready.set()
        while True:
            time.sleep(0.01)

    context = multiprocessing.get_context('fork')
    ready = context.Event()
    process = context.Process(target=load, args=[ready], daemon=True)
    process.start()
    assert ready.wait(20)
    yield process
    process.kill()


def test_a_worker_obeys_its_parent(worker):
    """So that the end of the interpreter, which waits for it, is one."""
    worker.terminate()
    worker.join(20)
    assert worker.exitcode == 0


def test_a_worker_outlives_signals_of_others(worker):
    for name in ('-TERM', '-USR1', '-TERM'):
        subprocess.run(['kill', name, str(worker.pid)], check=True)
    worker.join(0.3)
    assert worker.exitcode is None


def own_loop(rank):
    from mmengine.runner import EpochBasedTrainLoop

    from hpvit_mm.registry import LOOPS

    @LOOPS.register_module()
    class OwnLoop(EpochBasedTrainLoop):
        """Of somebody who knows nothing of resuming."""


@pytest.mark.slow
@pytest.mark.faults
def test_a_loop_of_somebody_else(experiment):
    """It begins its epoch again, and counts each iteration once."""
    asked = experiment('classification', LOADING
                       + "train_cfg.update(type='hpvit_mm.OwnLoop')\n")
    running = asked.start(before=own_loop)
    wait_for(asked, running, in_iteration(11))  # of 8 in an epoch
    running.signal(signal.SIGTERM)
    check_end(asked, running)
    before = len(asked.diary())
    log = asked.run('--resume', before=own_loop)
    assert 'cannot resume exactly' in log
    assert [line[0] for line in asked.diary()[before:] if line[0] != 'val'] \
        == list(range(9, 25))


SLOW_VALIDATION = '''
train_cfg.update(val_interval=3)
val_dataloader.update(batch_size=2)
val_evaluator = [dict(type='Accuracy', topk=(1, 5)),
                 dict(type='SlowMetric')]
default_hooks.update(preemption=dict(grace=3))
'''


@pytest.mark.faults
@pytest.mark.parametrize('processes, where', [
    (1, 'evaluate'), (2, 'process')])
def test_in_a_validation(processes, where, experiment, left_alone):
    """It is left, and done again; also the last one, and its metrics."""
    asked = experiment('classification', SLOW_VALIDATION)
    running = asked.start(processes=processes,
                          before=lambda _: slow_metric(where))
    wait_for(asked, running, in_iteration(24 // processes))
    time.sleep(0.5)
    running.signal(signal.SIGTERM, processes - 1)
    begin = time.monotonic()
    assert set(running.wait()) == {75}, running.log.read_text()[-3000:]
    assert time.monotonic() - begin < 30
    asked.run('--resume', before=lambda _: slow_metric('nowhere'),
              processes=processes)
    alone = left_alone('classification', SLOW_VALIDATION, processes,
                       before=lambda _: slow_metric('nowhere'))
    assert asked.diary()[-1] == alone.diary()[-1]
    assert asked.diary()[-1][0] == 'val'
    assert_equal(asked.final(), alone.final())
    assert list(asked.work_dir.glob('best_*'))


def slow_metric(where: str) -> None:
    """Registers a metric that takes its time in the last validation."""
    from mmengine.evaluator import BaseMetric
    from mmengine.registry import METRICS

    @METRICS.register_module(force=True)
    class SlowMetric(BaseMetric):
        default_prefix = 'slow'

        def process(self, data_batch, data_samples):
            self.results.append(1)
            if where == 'process':
                time.sleep(1)

        def compute_metrics(self, results):
            if where == 'evaluate':
                time.sleep(60)
            return dict(count=len(results))


def slow_iteration(rank: int) -> None:
    """The fifth iteration waits in C code, for an hour."""
    import ctypes

    from mmengine.model import BaseModel
    original = BaseModel.train_step
    count = 0

    def train_step(self, *args, **kwargs):
        nonlocal count
        count += 1
        if count == 5:
            # an interrupted call goes on where it was, as Python's would
            libc = ctypes.CDLL(None)
            for _ in range(3600):
                libc.sleep(1)
        return original(self, *args, **kwargs)

    from mmpretrain.models import ImageClassifier
    ImageClassifier.train_step = train_step


@pytest.mark.slow
def test_a_second_signal(experiment):
    asked = experiment('classification')
    running = asked.start(before=slow_iteration)
    wait_for(asked, running, in_iteration(4))
    running.signal(signal.SIGTERM)
    time.sleep(1.3)
    begin = time.monotonic()
    running.signal(signal.SIGTERM)
    assert running.wait() == [128 + signal.SIGTERM]
    assert time.monotonic() - begin < 10
    assert 'ends at once' in running.log.read_text()


@pytest.mark.slow
@pytest.mark.faults
def test_an_iteration_that_does_not_end(experiment):
    """Within the grace, and without what was not saved."""
    asked = experiment(
        'classification', 'default_hooks.update(preemption=dict(grace=2))\n')
    running = asked.start(before=slow_iteration)
    wait_for(asked, running, in_iteration(4))
    begin = time.monotonic()
    running.signal(signal.SIGTERM)
    assert running.wait() == [75]
    assert 1.5 < time.monotonic() - begin < 20
    assert 'has not ended 2 s after the signal' in running.log.read_text()


@pytest.mark.parametrize('grace', [0, -1])
def test_grace(grace):
    with pytest.raises(UserError, match='grace of PreemptionHook'):
        PreemptionHook(grace)
