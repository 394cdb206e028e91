"""Losses that wait on their device, and curves of bounded length."""
import copy
import itertools
import json
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.registry import HOOKS, DefaultScope
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from hpvit_mm.engine import DeferredRuntimeInfoHook
from hpvit_mm.engine.hooks import runtime_info
from hpvit_mm.engine.hooks.runtime_info import Curve
from hpvit_mm.errors import UserError

CONFIGS = Path(__file__).parents[2] / 'configs'
OURS, HOST = 'hpvit_mm.DeferredRuntimeInfoHook', 'RuntimeInfoHook'
BATCHES = 7  # of an epoch
NUMBERS = itertools.count()  # runs of one name would share their curves


@pytest.fixture(autouse=True)
def no_scope_is_left():
    """A runner sets one, which other tests would build in."""
    before = set(DefaultScope._instance_dict)
    yield
    for name in DefaultScope._instance_dict.keys() - before:
        DefaultScope._instance_dict.pop(name)


class Model(BaseModel):
    """Losses of several types and shapes, as the host libraries have them."""

    def __init__(self, numbers=True):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 3)
        self.numbers = numbers

    def forward(self, inputs, mode):
        out = self.layer(inputs).square()
        if mode != 'loss':
            return []
        return dict(
            loss_cls=out[:, :1].mean(), loss_list=[out[:, 1].mean(), out],
            loss_half=out[0].bfloat16(), acc=out.detach().mean().double())

    def train_step(self, data, optim_wrapper):
        log_vars = super().train_step(data, optim_wrapper)
        if not self.numbers:
            return log_vars
        steps = int(data['inputs'][0, 0] * 1e4)
        return dict(log_vars, number=0.5 * steps, count=torch.tensor(steps))


class Stop(Hook):
    """Ends the training early, as a failure would."""

    def __init__(self, at):
        self.at = at

    def after_train_iter(self, runner, **kwargs):
        if runner.iter + 1 == self.at:
            raise RuntimeError('as it happens')


class Spy(Hook):
    """Counts what is read from tensors, iteration by iteration."""
    priority = 'LOWEST'

    def __init__(self, monkeypatch):
        self.calls, self.per_iter = 0, []
        for name in ('item', 'tolist', '__float__', 'cpu'):
            monkeypatch.setattr(torch.Tensor, name, self.counting(
                getattr(torch.Tensor, name)))

    def counting(self, method):

        def call(*args, **kwargs):
            self.calls += 1
            return method(*args, **kwargs)

        return call

    def before_train_iter(self, runner, **kwargs):
        self.calls = 0

    def after_train_iter(self, runner, **kwargs):
        self.per_iter.append(self.calls)


def runner_of(folder, runtime_info, by_epoch=True, length=3, hooks=(),
              custom_hooks=(), **kwargs):
    """A training of ``length`` epochs, or of as many iterations."""
    torch.manual_seed(1)
    data = [dict(inputs=image) for image in torch.rand(2 * BATCHES, 4)]
    sampler = DefaultSampler if by_epoch else InfiniteSampler
    train_cfg = dict(by_epoch=True, max_epochs=length) if by_epoch else dict(
        by_epoch=False, max_iters=length * BATCHES)
    options = dict(
        model=Model(), work_dir=str(folder), train_cfg=train_cfg,
        train_dataloader=DataLoader(
            data, batch_size=2, sampler=sampler(data, shuffle=False)),
        optim_wrapper=dict(
            optimizer=dict(type='AdamW', lr=0.1), clip_grad=dict(max_norm=1.)),
        log_processor=dict(by_epoch=by_epoch),
        default_hooks=dict(
            dict(runtime_info=runtime_info and dict(type=runtime_info),
                 logger=dict(type='LoggerHook', interval=3,
                             ignore_last=False),
                 checkpoint=dict(type='CheckpointHook', by_epoch=by_epoch,
                                 interval=1 if by_epoch else BATCHES)),
            **dict(hooks)),
        custom_hooks=[*custom_hooks,
                      dict(type='hpvit_mm.PlainCheckpointHook')],
        experiment_name=f'runtime-info-{next(NUMBERS)}')
    return Runner(**dict(options, **kwargs))


def logged(folder):
    """What a run has written, without times: lines and numbers."""
    lines, numbers = [], []
    for path in sorted(folder.glob('*/*.log')):
        for line in path.read_text().splitlines():
            if '(train)' in line:
                line = line.split(' - INFO - ')[-1]
                lines.append(re.sub(
                    r'(eta|time|data_time): \S+ ', r'\1 ', line))
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            numbers.append({key: value for key, value in entry.items()
                            if key not in ('time', 'data_time')})
            assert {'time', 'data_time'} <= entry.keys()
    return lines, numbers


CUSTOM = [
    dict(data_src='loss', log_name='loss_mean', method_name='mean',
         window_size='global'),
    dict(data_src='loss_half', log_name='most', method_name='max',
         window_size=12),
]
OF_EPOCH = [dict(data_src='loss_list', log_name='loss_epoch',
                 method_name='mean', window_size='epoch'),
            dict(data_src='time', log_name='time_epoch',
                 method_name='mean', window_size='epoch'),
            dict(data_src='loss_cls', log_name='last', method_name='current')]


@pytest.mark.parametrize('by_epoch', [True, False])
@pytest.mark.parametrize('history', [1000, 0])
def test_the_same_is_logged(by_epoch, history, tmp_path):
    """To the last digit, and in the same order."""
    found = []
    for kind in (HOST, OURS):
        folder = tmp_path / kind
        hook = dict(type=kind)
        if kind == OURS:
            hook['history'] = history
        runner = runner_of(
            folder, None, by_epoch, hooks=dict(runtime_info=hook),
            log_processor=dict(
                by_epoch=by_epoch, window_size=4,
                custom_cfg=CUSTOM + OF_EPOCH * by_epoch))
        runner.train()
        lines, numbers = logged(folder)
        for numbers_of_one in numbers:
            numbers_of_one.pop('time_epoch', None)
        lines = [re.sub(r'time_epoch: \S+', '', line) for line in lines]
        found.append((lines, numbers))
    (lines, numbers), ours = found
    assert len(lines) == len(numbers) >= 7
    assert {'loss', 'grad_norm', 'loss_list', 'acc', 'count', 'number', 'lr',
            'loss_mean', 'most'} <= numbers[0].keys()
    assert len({entry['loss'] for entry in numbers}) == len(numbers)
    assert (lines, numbers) == ours


@pytest.mark.parametrize('wrapper', [
    'OptimWrapper', 'hpvit_mm.BFloat16OptimWrapper'])
def test_nothing_is_read_between_the_logged_iterations(
        wrapper, tmp_path, monkeypatch):
    reads = {}
    for kind in (HOST, OURS):
        with monkeypatch.context() as patch:
            spy = Spy(patch)
            runner_of(
                tmp_path / kind, kind, custom_hooks=[spy],
                model=Model(numbers=False), hooks=dict(checkpoint=None),
                optim_wrapper=dict(
                    type=wrapper, clip_grad=dict(max_norm=1.),
                    optimizer=dict(type='SGD', lr=0.1))).train()
        reads[kind] = spy.per_iter
    values = 6  # the norm, and five losses
    assert reads[HOST] == [values] * 3 * BATCHES
    # curves begin; then a transfer where iteration 3, 6 or 7 of an epoch is
    # logged
    epoch = [0, 0, 1, 0, 0, 1, 1]
    assert reads[OURS] == [values, *epoch[1:], *epoch, *epoch]


def test_curves_are_never_out_of_date(tmp_path):
    """Whoever asks for one gets the values of all iterations so far."""
    seen = {HOST: [], OURS: []}

    class Reader(Hook):

        def __init__(self, seen):
            self.seen = seen

        def after_train_iter(self, runner, **kwargs):
            if runner.iter % 4 == 2:
                loss = runner.message_hub.get_scalar('train/loss')
                norm = runner.message_hub.get_scalar('train/grad_norm')
                self.seen.append((
                    len(loss.data[0]), len(loss.data[1]), loss.current(),
                    norm.mean(5), loss.statistics('min'), norm.max()))

    for kind in seen:
        runner = runner_of(tmp_path / kind, kind, False, custom_hooks=[
            Reader(seen[kind])], hooks=dict(logger=None))
        runner.train()
        curve = runner.message_hub.get_scalar('train/loss')
        seen[kind].append(curve.data[0].tolist())
        assert curve.data[1].tolist() == [1] * 3 * BATCHES
    assert seen[HOST] == seen[OURS] and len(seen[HOST]) == 6


def test_a_value_that_is_overwritten_later(tmp_path):
    """By the next iteration, as the outputs of a CUDA graph are."""

    class Overwriting(Model):
        value = torch.zeros(())

        def train_step(self, data, optim_wrapper):
            super().train_step(data, optim_wrapper)
            return dict(value=self.value.add_(1))

    runner = runner_of(tmp_path, OURS, length=1, model=Overwriting(False))
    runner.train()
    assert runner.message_hub.get_scalar('train/value').data[0].tolist() == [
        1, 2, 3, 4, 5, 6, 7]


def test_what_waits_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime_info, 'MAX_WAITING', 5)
    most = []

    class Watch(Hook):

        def after_train_iter(self, runner, **kwargs):
            hook, = (one for one in runner.hooks
                     if isinstance(one, DeferredRuntimeInfoHook))
            most.append(sum(map(len, hook.waiting.values())))

    runner_of(tmp_path, OURS, False, custom_hooks=[Watch()],
              hooks=dict(logger=None)).train()
    assert max(most) == 4


def test_lengths_of_curves(tmp_path):
    """The longest window that is asked for."""
    runner = runner_of(
        tmp_path, None, length=4,
        hooks=dict(runtime_info=dict(type=OURS, history=2)),
        log_processor=dict(window_size=3, custom_cfg=CUSTOM + OF_EPOCH))
    runner.train()
    curves = runner.message_hub.log_scalars
    lengths = {name: len(curves[f'train/{name}'].data[0]) for name in (
        'loss', 'loss_half', 'loss_list', 'time', 'loss_cls', 'data_time',
        'lr')}
    assert lengths == dict(
        loss=4 * BATCHES, loss_half=12, loss_list=BATCHES, time=BATCHES,
        loss_cls=4 * BATCHES, data_time=3, lr=3)


@pytest.mark.parametrize('by_epoch', [True, False])
@pytest.mark.parametrize('kind', [HOST, OURS])
def test_a_resumed_run_logs_the_same(by_epoch, kind, tmp_path):
    """From a checkpoint of either hook, after an exception."""
    folders = [tmp_path / name for name in ('whole', 'first', 'second')]
    runner_of(folders[0], HOST, by_epoch).train()
    runner = runner_of(folders[1], kind, by_epoch,
                       custom_hooks=[Stop(BATCHES + 2)])
    with pytest.raises(RuntimeError, match='as it happens'):
        runner.train()
    # what has been computed until then can still be read
    loss = runner.message_hub.get_scalar('train/loss')
    assert len(loss.data[0]) == BATCHES + 2
    checkpoint, = folders[1].glob('*.pth')
    saved = torch.load(checkpoint, weights_only=True)
    curve = saved['message_hub']['log_scalars']['train/grad_norm']
    assert len(curve['log_history']) == BATCHES
    runner_of(folders[2], OURS, by_epoch, load_from=str(checkpoint),
              resume=True).train()
    whole, first, second = (logged(folder)[1] for folder in folders)
    assert len(first) == 3 and len(second) >= 5
    assert first + second == whole


def test_a_long_curve_of_an_old_checkpoint(tmp_path):
    runner = runner_of(tmp_path, OURS, hooks=dict(
        runtime_info=dict(type=OURS, history=12)))
    old = dict(
        log_scalars={f'train/{name}': HistoryBuffer([1.] * 5000, [1] * 5000)
                     for name in ('loss', 'time', 'grad_norm')},
        runtime_info={}, resumed_keys={
            f'train/{name}': True for name in ('loss', 'time', 'grad_norm')})
    runner.message_hub.load_state_dict(old)
    runner.train()
    for name in ('loss', 'time', 'grad_norm'):
        curve = runner.message_hub.get_scalar(f'train/{name}')
        assert len(curve.data[0]) == len(curve.data[1]) == 12
    saved = runner.message_hub.state_dict()['log_scalars']['train/loss']
    assert type(saved) is HistoryBuffer
    # if mmengine's hook resumes from it, it keeps what it always keeps
    assert saved.max_length == HistoryBuffer().max_length
    assert len(saved.data[0]) == 12


def test_a_curve_is_copied_as_a_plain_one():
    curve = Curve(lambda: curve.extend([3., 4.]), [1., 2.], [1, 1],
                  max_length=3)
    curve.behind = True
    other = copy.deepcopy(curve)
    assert type(other) is HistoryBuffer
    assert other.data[0].tolist() == [2., 3., 4.]
    curve.update(5.)
    assert curve.data[0].tolist() == [3., 4., 5.]
    assert len(other.data[0]) == 3


def test_training_again(tmp_path):
    """The gradients' norm is deferred once, whatever has happened before."""
    runner = runner_of(tmp_path, OURS, length=1)
    hook, = (one for one in runner.hooks
             if isinstance(one, DeferredRuntimeInfoHook))
    runner.train()
    clip = runner.optim_wrapper.clip_func
    hook.before_train(runner)
    assert runner.optim_wrapper.clip_func is clip
    assert len(runner.message_hub.get_scalar('train/grad_norm').data[0]
               ) == BATCHES


@pytest.mark.parametrize('history', [-1, '10', None])
def test_wrong_history(history):
    with pytest.raises(UserError, match='history'):
        DeferredRuntimeInfoHook(history=history)


@pytest.mark.parametrize('name', ['mmdet', 'mmpretrain', 'mmseg'])
def test_the_configs_use_it(name):
    cfg = Config.fromfile(CONFIGS / f'_base_/default_runtime/{name}.py')
    hook = HOOKS.build(cfg.default_hooks.runtime_info)
    assert isinstance(hook, DeferredRuntimeInfoHook)
    assert hook.priority == 'VERY_HIGH'
