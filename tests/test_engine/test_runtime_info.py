"""Losses that stay on their device until they are logged."""
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
    """Return the lines and numbers that a run wrote, without times."""
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
def test_the_same_is_logged(by_epoch, tmp_path):
    """To the last digit, and in the same order."""
    found = []
    for kind in (HOST, OURS):
        folder = tmp_path / kind
        runner = runner_of(
            folder, kind, by_epoch, log_processor=dict(
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
            most.append(len(hook.waiting))

    runner_of(tmp_path, OURS, False, custom_hooks=[Watch()],
              hooks=dict(logger=None)).train()
    assert 0 < max(most) < 5


@pytest.mark.parametrize('custom, length', [
    ([], 5), (CUSTOM[1:], 12), (CUSTOM, 4 * BATCHES),
    (OF_EPOCH[:1], 4 * BATCHES)])
def test_lengths_of_curves(custom, length, tmp_path):
    """The longest window that is asked for; all values for other windows."""
    runner = runner_of(
        tmp_path, None, length=4,
        hooks=dict(runtime_info=dict(type=OURS, history=5)),
        log_processor=dict(window_size=3, custom_cfg=custom))
    runner.train()
    curves = runner.message_hub.log_scalars
    assert {len(curves[f'train/{name}'].data[0])
            for name in ('loss', 'grad_norm', 'time', 'lr')} == {length}


@pytest.mark.parametrize('kind, by_epoch', [
    (HOST, True), (OURS, True), (OURS, False)])
def test_a_resumed_run_logs_the_same(by_epoch, kind, tmp_path):
    """From a checkpoint of either hook, after an exception."""
    folders = [tmp_path / name for name in ('whole', 'first', 'second')]
    runner_of(folders[0], HOST, by_epoch).train()
    runner = runner_of(folders[1], kind, by_epoch,
                       custom_hooks=[Stop(BATCHES + 2)])
    with pytest.raises(RuntimeError, match='as it happens'):
        runner.train()
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
    names = [f'train/{name}' for name in ('loss', 'time', 'grad_norm')]
    runner.message_hub.load_state_dict(dict(
        log_scalars={name: HistoryBuffer([1.] * 5000, [1] * 5000)
                     for name in names},
        runtime_info={}, resumed_keys=dict.fromkeys(names, True)))
    runner.train()
    for name in names:
        curve = runner.message_hub.get_scalar(name)
        assert len(curve.data[0]) == len(curve.data[1]) == 12


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
