"""Failures of a training: one sentence, no hang, nothing lost."""
import logging
import os
import random
import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from harness import LIMIT, Experiment

from hpvit_mm.engine.hooks import FiniteHook, WatchdogHook
from hpvit_mm.errors import UserError

WORKERS = 'train_dataloader.update(num_workers=2)\n'


def said(log: str) -> str:
    """The one sentence; there must be no traceback."""
    lines = [line for line in log.splitlines() if line.startswith('error: ')]
    assert len(lines) == 1 and 'Traceback' not in log, log[-4000:]
    return lines[0]


def bad_from(number: int, value: float = float('nan'), what: str = 'loss'):
    """The loss, or the gradient of the head, is bad from an iteration on."""

    def prepare(rank: int) -> None:
        from mmpretrain.models import ImageClassifier
        original = ImageClassifier.loss
        count = 0

        def loss(self, *args, **kwargs):
            nonlocal count
            count += 1
            losses = original(self, *args, **kwargs)
            if count >= number and rank == 0 and what == 'loss':
                losses['loss'] = losses['loss'] * value
            if count == number and what == 'gradient':
                bias = self.head.fc.bias
                bias.register_hook(lambda grad: grad * value)
            return losses

        ImageClassifier.loss = loss

    return prepare


@pytest.mark.parametrize('option, processes', [
    ('train_dataloader.timeout=-1', 1),
    ('log_level=LOUD', 1)])
def test_refused_by_a_class(option, processes, experiment):
    """It may be noticed only while the run is set up; nothing is trained."""
    one = experiment('classification')
    assert said(one.run('--cfg-options', option, status=2,
                        processes=processes))
    assert not one.diary() and not list(one.work_dir.glob('*.pth'))


@pytest.mark.slow
@pytest.mark.parametrize('value, what, more, processes', [
    (float('nan'), 'loss', '', 1),
    pytest.param(float('inf'), 'loss', '', 1, marks=pytest.mark.faults),
    pytest.param(float('nan'), 'gradient', '', 1, marks=pytest.mark.faults),
    (float('inf'), 'gradient',
     'optim_wrapper = dict(clip_grad=dict(max_norm=1.0))\n', 2)])
def test_bad_numbers(value, what, more, processes, experiment, fault_table):
    """The run ends within the interval, and its checkpoints are finite."""
    bad = experiment(
        'classification',
        'default_hooks.update(finite=dict(interval=3))\n' + more)
    log = bad.run(before=bad_from(6, value, what), status=2,
                  processes=processes)
    text = said(log)
    assert ' at iteration ' in text and 'The batch of iteration' in log
    assert 'train/' in log.partition('The batch of iteration')[2]  # a path
    done = bad.diary()[-1][0]
    assert done <= 9  # 6 is the first, a look at every third
    for path in bad.work_dir.glob('*.pth'):
        assert all(torch.isfinite(one).all() for one in
                   torch.load(path)['state_dict'].values())
    fault_table(f'{what} is {value}', 1, 1)


@pytest.mark.slow
@pytest.mark.faults
def test_bad_numbers_at_the_end(experiment):
    """Also where nothing is saved or validated behind them."""
    bad = experiment('classification', 'default_hooks.update(checkpoint=dict('
                     'interval=-1, save_last=False, save_best=None))\n')
    log = bad.run('--no-validate', before=bad_from(23), status=2)
    assert 'at iteration 23' in said(log)


@pytest.mark.slow
def test_weights_that_are_not_finite_are_not_saved(experiment):
    """Whatever made them so."""
    def spoil(rank):
        from mmengine.optim import OptimWrapper
        original = OptimWrapper.update_params
        count = 0

        def update_params(self, *args, **kwargs):
            nonlocal count
            count += 1
            original(self, *args, **kwargs)
            if count == 16:  # the last one before the second checkpoint
                param = self.optimizer.param_groups[-1]['params'][0]
                param.data.fill_(float('inf'))

        OptimWrapper.update_params = update_params

    bad = experiment('classification')
    log = bad.run(before=spoil, status=2)
    assert 'the weights are not finite' in said(log)
    assert sorted(path.name for path in bad.work_dir.glob('*.pth')) == [
        'epoch_1.pth']


def test_metrics_may_be_what_they_like():
    """A validation's loss is no sign of a bad training."""
    run = Amp([1., 1.])
    curve = type(run.message_hub.log_scalars['train/loss'])()
    curve.update(float('nan'))
    run.message_hub.log_scalars['val/my/loss'] = curve
    run.hook.check(run)


class Scaler:
    """The methods of a GradScaler that mmengine calls."""
    scale = 2.**16

    def is_enabled(self):
        return True

    def get_scale(self):
        return self.scale


class Amp:
    """A run in float16, as far as FiniteHook sees it."""

    def __init__(self, losses):
        from mmengine.logging import HistoryBuffer, MMLogger
        from mmengine.optim import AmpOptimWrapper
        self.optim_wrapper = AmpOptimWrapper.__new__(AmpOptimWrapper)
        self.optim_wrapper.loss_scaler = Scaler()
        curve = HistoryBuffer()
        self.message_hub = SimpleNamespace(log_scalars={'train/loss': curve})
        self.hooks = []
        self.logger = MMLogger.get_instance('amp')
        self.iter = 0
        self.hook = FiniteHook(interval=4, max_skipped=3)
        self.hook.before_train(self)
        for loss in losses:
            curve.update(loss)
            self.hook.after_train_iter(self, 0, {})
            self.iter += 1


def test_skipped_updates_are_no_error():
    """In float16, as long as there are few in a row."""
    nan = float('nan')
    Amp([nan, nan, nan, 1., nan, nan, nan, 1., 1.])
    with pytest.raises(UserError, match='at iteration 6, and 4 updates in a row'):
        Amp([1., 1., nan, nan, nan, nan, 1., 1.])
    run = Amp([1.] * 3)
    run.optim_wrapper.loss_scaler.scale = 2.**12
    with pytest.raises(UserError, match='loss scale has fallen'):
        run.hook.after_train_iter(run, 0, {})


@pytest.mark.parametrize('options', [dict(interval=0), dict(max_skipped=-1)])
def test_arguments_of_finite(options):
    with pytest.raises(UserError, match='FiniteHook needs'):
        FiniteHook(**options)


def kill_a_worker(running, dice) -> bool:
    """kill -9 a process that loads data."""
    path = Path(f'/proc/{running.pids[0]}/task/{running.pids[0]}/children')
    end = time.monotonic() + LIMIT
    while not running.poll() and time.monotonic() < end:
        children = path.read_text().split() if path.exists() else []
        if len(children) == 2:
            time.sleep(dice.uniform(0, 0.1))
            try:
                os.kill(int(dice.choice(children)), signal.SIGKILL)
                return True
            except ProcessLookupError:  # an epoch has ended
                pass
        time.sleep(0.002)
    return False


def lose_workers(make, count: int, dice) -> int:
    run = make('classification', WORKERS + (
        'train_cfg.update(max_epochs=100, val_interval=100)\n'))
    lost, flags = 0, []
    while lost < count:
        running = run.start(*flags)
        flags = ['--resume']
        assert kill_a_worker(running, dice)
        status, = running.wait(60)
        log = running.log.read_text()
        assert status == 2, log[-3000:]
        assert 'a DataLoader worker' in log, log[-3000:]
        assert log.count('error: ') == 1
        lost += 1
    return lost


@pytest.mark.slow
def test_killed_workers(experiment):
    lose_workers(experiment, 1, random.Random(0))


@pytest.mark.slow
@pytest.mark.faults
def test_20_killed_workers(experiment, fault_table):
    lost = lose_workers(experiment, 20, random.Random(1))
    fault_table('kill -9 of a process that loads data', lost, lost)


@pytest.mark.slow
@pytest.mark.parametrize('rank', [
    pytest.param(0, marks=pytest.mark.faults), 1])
def test_a_killed_rank(rank, experiment, fault_table):
    """The other one ends, too, and says what happened."""
    run = experiment('classification', 'train_cfg.update(max_epochs=50)\n')
    running = run.start(processes=2)
    end = time.monotonic() + LIMIT
    while len(run.diary()) < 6 and time.monotonic() < end:
        time.sleep(0.01)
    running.kill([rank])
    begin = time.monotonic()
    while len(running.poll()) < 2:
        assert time.monotonic() - begin < 30, running.log.read_text()[-2000:]
        time.sleep(0.05)
    assert running.statuses[1 - rank] == 2
    assert 'another process of this run has ended' in said(
        running.log.read_text())
    fault_table(f'kill -9 of rank {rank} of 2', 1, 1, 'the other rank ends')


def no_memory(kind):

    def prepare(rank):
        from mmpretrain.models import ImageClassifier
        original = ImageClassifier.loss
        count = 0

        def loss(self, inputs, data_samples):
            nonlocal count
            count += 1
            if count == 3:
                if kind == 'gpu':
                    raise torch.OutOfMemoryError('CUDA out of memory. Tried')
                torch.empty(2**62 // 4)
            return original(self, inputs, data_samples)

        ImageClassifier.loss = loss

    return prepare


@pytest.mark.slow
@pytest.mark.parametrize('kind, where', [
    pytest.param('cpu', 'machine', marks=pytest.mark.faults), ('gpu', 'GPU')])
def test_out_of_memory(kind, where, experiment):
    run = experiment('classification')
    text = said(run.run(before=no_memory(kind), status=2))
    assert f'the {where} ran out of memory at iteration 2' in text
    assert '(4, 3, 64, 64)' in text and 'batch_size' in text


@pytest.fixture
def own_data(tmp_path, sample_data):
    """The sample data, to be damaged."""
    folder = tmp_path / 'samples'
    shutil.copytree(sample_data, folder)
    return folder


DAMAGES = dict(
    missing=lambda path: path.unlink(),
    empty=lambda path: path.write_bytes(b''),
    text=lambda path: path.write_text('404 Not Found'),
    truncated=lambda path: os.truncate(path, path.stat().st_size * 2 // 3),
    zeros=lambda path: path.write_bytes(bytes(path.stat().st_size)))
FILES = dict(
    classification='imagenet/{}/**/*',
    detection='coco/{}2017/*',
    segmentation='ade/ADEChallengeData2016/{}/training/*')


@pytest.mark.slow
@pytest.mark.parametrize('kind, damage, more, part', [
    ('classification', 'missing', WORKERS, 'train'),
    ('segmentation', 'text', '', 'annotations'),
    *(pytest.param(*one, marks=pytest.mark.faults) for one in [
        ('classification', 'text', '', 'val'),
        ('classification', 'truncated', '', 'train'),
        ('detection', 'empty', '', 'train'),
        ('segmentation', 'zeros', WORKERS, 'images')])])
def test_a_broken_image(kind, damage, more, part, own_data, tmp_path):
    """Its name, and what to do; in training and validation."""
    path = max(path for path in own_data.glob(FILES[kind].format(part))
               if path.is_file())
    run = Experiment(tmp_path / 'run', kind, own_data, more)
    DAMAGES[damage](path)
    text = said(run.run(status=2))
    assert str(path) in text and ('restore' in text or 'correct' in text)


@pytest.mark.slow
def test_broken_images_that_are_replaced(own_data, tmp_path):
    """By others, always the same, up to a number."""
    paths = sorted(own_data.glob('imagenet/train/*/*'))
    for path in paths[3], paths[11]:
        path.write_bytes(b'')
    first = Experiment(tmp_path / 'first', 'classification', own_data, WORKERS)
    log = first.run('--max-corrupt', 6)  # two, three epochs
    assert log.count('the next sample replaces it') == 6
    assert str(paths[3]) in log and str(paths[11]) in log
    assert '(6 of at most 6' in log
    second = Experiment(tmp_path / 'second', 'classification', own_data)
    text = said(second.run('--max-corrupt', 3, status=2))
    done = second.iterations()  # without workers, and the same images
    assert done and done.items() <= first.iterations().items()
    assert 'more than 3 samples could not be read' in text


def stand_still(rank):
    """The fifth iteration waits for ever."""
    from mmpretrain.models import ImageClassifier
    original = ImageClassifier.loss
    count = 0

    def loss(self, *args, **kwargs):
        nonlocal count
        count += 1
        if count == 5:
            time.sleep(3600)
        return original(self, *args, **kwargs)

    ImageClassifier.loss = loss


@pytest.mark.slow
def test_a_run_that_stands_still(experiment):
    run = experiment('classification',
                     'default_hooks.update(watchdog=dict(timeout=3))\n')
    begin = time.monotonic()
    log = run.run(before=stand_still, status=1)
    assert time.monotonic() - begin < 60
    assert 'Timeout (0:00:03)!' in log and 'in loss' in log  # where it waits


def test_a_test_that_stands_still():
    pid = os.fork()
    if pid == 0:
        hook = WatchdogHook(timeout=0.2)
        hook.before_test(SimpleNamespace(logger=logging.getLogger('still')))
        time.sleep(20)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def test_a_test_that_ends():
    hook = WatchdogHook(timeout=0.2)
    hook.before_test(SimpleNamespace(logger=logging.getLogger('ends')))
    hook.after_test(None)
    time.sleep(0.5)


def test_arguments_of_watchdog():
    with pytest.raises(UserError, match='timeout of WatchdogHook'):
        WatchdogHook(timeout=0)
