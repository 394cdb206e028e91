"""Hooks and loops that a config gets, records of runs, and failures."""
import logging

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.runner import EpochBasedTrainLoop
from torch import nn

from hpvit_mm import environment
from hpvit_mm.cli import user_error_text
from hpvit_mm.engine import (SafeCheckpointHook, agreement, distributed,
                             failures, survival)
from hpvit_mm.engine.hooks.record import (differences, fingerprint,
                                          flat_config)
from hpvit_mm.engine.survival import HOOKS, ensure
from hpvit_mm.errors import UserError


@pytest.mark.parametrize('given, kind', [
    (dict(by_epoch=True), 'Epoch'), (dict(by_epoch=False), 'Iter'),
    (dict(type='EpochBasedTrainLoop'), 'Epoch'),
    (dict(type='IterBasedTrainLoop'), 'Iter'),
    (dict(type='mmengine.IterBasedTrainLoop'), 'Iter'),
    (dict(type=EpochBasedTrainLoop), 'Epoch'),
    # of ours, into which a config of mmpretrain was merged
    (dict(type='hpvit_mm.ResumableEpochLoop', by_epoch=True), 'Epoch')])
def test_loops(given, kind):
    cfg = Config(dict(train_cfg=dict(given, val_interval=2),
                      val_cfg=dict(), test_cfg=dict(type='TestLoop')))
    ensure(cfg)
    assert cfg.train_cfg == dict(type=f'hpvit_mm.Resumable{kind}Loop',
                                 val_interval=2)
    assert cfg.val_cfg.type == 'hpvit_mm.GuardedValLoop'
    assert cfg.test_cfg.type == 'hpvit_mm.GuardedTestLoop'
    assert cfg.pretty_text


def test_loops_of_others_stay():
    cfg = Config(dict(train_cfg=dict(type='mine.Loop'), val_cfg=None,
                      test_cfg=dict(type='hpvit_mm.KNNTestLoop')))
    ensure(cfg)
    assert cfg.train_cfg.type == 'mine.Loop' and cfg.val_cfg is None
    assert cfg.test_cfg.type == 'hpvit_mm.KNNTestLoop'


def test_what_cannot_be_resumed_exactly(caplog):
    logger = logging.getLogger('test_survival')
    cfg = Config(dict(train_cfg=dict(type='EpochBasedTrainLoop')))
    ensure(cfg)
    survival.warn(cfg, logger)
    assert not caplog.text
    cfg.train_cfg.type = 'mine.Loop'
    survival.warn(cfg, logger)
    assert 'mine.Loop (train_cfg.type) cannot resume' in caplog.text


@pytest.mark.parametrize('hooks', [
    None, dict(checkpoint=dict(type='CheckpointHook', interval=7)),
    dict(checkpoint=dict(type=CheckpointHook)),
    dict(checkpoint=dict(type='mmengine.CheckpointHook')),
    dict(checkpoint=dict(interval=7), watchdog=dict(timeout=60))])
def test_hooks(hooks):
    cfg = Config(dict(default_hooks=hooks) if hooks else {})
    ensure(cfg)
    assert {name: cfg.default_hooks[name].type for name in HOOKS} == HOOKS
    assert cfg.default_hooks.checkpoint.get('interval', 7) == 7
    ensure(cfg)
    assert len(cfg.custom_hooks) == 1


@pytest.mark.parametrize('hooks', [None, {}, dict(watchdog=None),
                                   dict(watchdog=dict(timeout=60))])
def test_hooks_of_a_test(hooks):
    cfg = Config(dict(default_hooks=hooks, test_cfg=dict()))
    survival.ensure_tested(cfg)
    assert list(cfg.default_hooks) == ['watchdog']
    assert cfg.default_hooks.watchdog.type == HOOKS['watchdog']
    assert cfg.default_hooks.watchdog.get('timeout', 60) == 60
    assert cfg.test_cfg.type == 'hpvit_mm.GuardedTestLoop'


@pytest.mark.parametrize('arguments, says', [
    (dict(save_best='weird'), 'rule'), (dict(save_best='a', rule='sideways'),
                                        'rule')])
def test_arguments_of_the_checkpoint_hook(arguments, says):
    with pytest.raises(UserError, match=f'default_hooks.checkpoint: .*{says}'):
        SafeCheckpointHook(**arguments)


def test_another_checkpoint_hook():
    with pytest.raises(UserError, match='needs hpvit_mm.SafeCheckpoint'):
        ensure(Config(dict(default_hooks=dict(
            checkpoint=dict(type='mine.CheckpointHook')))))


def config(**changes):
    cfg = Config(dict(
        model=dict(backbone=dict(depth=3, init_cfg=dict(checkpoint='a'))),
        train_dataloader=dict(batch_size=2, num_workers=2, dataset=dict(
            data_root='here', pipeline=[dict(type='A'), dict(type='B')])),
        optim_wrapper=dict(optimizer=dict(lr=0.1)),
        default_hooks=dict(logger=dict(interval=1)), unused=3))
    cfg.merge_from_dict(changes)
    return dict(flat_config(cfg))


@pytest.mark.parametrize('change', [
    {'model.backbone.init_cfg.checkpoint': 'b'},
    {'train_dataloader.num_workers': 0},
    {'train_dataloader.dataset.data_root': 'there'},
    {'default_hooks.logger.interval': 9}, {'unused': 4}, {'work_dir': 'x'}])
def test_what_may_change(change):
    assert config(**change) == config()


def test_without_validation():
    """Training is the same."""
    record = dict(world_size=1, batch_size=2, accumulative_counts=1, seed=0,
                  dataset='3 samples')
    with_it = config(**{'val_dataloader.dataset.type': 'A',
                        'val_evaluator.type': 'B'})
    other = config(**{'val_dataloader.dataset.type': 'C',
                      'val_evaluator.type': 'B'})

    def differs(one, other):
        return differences(dict(record, config=one),
                           dict(record, config=other))

    assert not differs(with_it, config()) and not differs(config(), with_it)
    assert differs(with_it, other)


class Labels:
    """A data set of two samples, with boxes and a label map."""

    def __init__(self, box=(0, 0, 1, 1), label=3, file='a/b/1.png'):
        self.info = dict(img_path='x/1.jpg', seg_map_path=file, instances=[
            dict(bbox=list(box), bbox_label=label)])

    def __len__(self):
        return 2

    def get_data_info(self, index):
        return self.info


def test_fingerprints_of_labels(tmp_path):
    assert fingerprint(Labels()) == fingerprint(Labels(file='moved/b/1.png'))
    for changed in (Labels(box=(0, 0, 1, 2)), Labels(label=4),
                    Labels(file='a/c/1.png')):
        assert fingerprint(changed) != fingerprint(Labels())
    path = tmp_path / '1.png'
    path.write_bytes(b'12')
    before = fingerprint(Labels(file=path))
    path.write_bytes(b'123')
    assert fingerprint(Labels(file=path)) != before


@pytest.mark.parametrize('change, says', [
    ({'model.backbone.depth': 4}, 'model.backbone.depth: 3, now 4'),
    ({'optim_wrapper.clip_grad': dict(max_norm=1)},
     'clip_grad.max_norm: not there, now 1'),
    ({'train_dataloader.dataset.pipeline.1.type': 'C'},
     "pipeline.1.type: 'B', now 'C'")])
def test_what_may_not(change, says):
    record = dict(world_size=1, batch_size=2, accumulative_counts=1, seed=0,
                  dataset='3 samples')
    text, = differences(dict(record, config=config()),
                        dict(record, config=config(**change)))
    assert says in text


def test_one_process_agrees_with_itself():
    assert agreement.of_first('a') == 'a' and agreement.of_all(3) == [3]
    assert agreement.to_first(None) == [None]
    assert agreement.AnyProcess().ask(True) is True
    assert agreement.AnyProcess().answer() is False


def test_an_error_of_another_process():
    text = ('Caught RankError in DataLoader worker process 0.\nOriginal '
            'Traceback (most recent call last):\n  File "x.py", line 3\n'
            'hpvit_mm.errors.RankError: /a.jpg is missing: restore it\n')
    assert user_error_text(UserError(text)) == '/a.jpg is missing: restore it'


class Run:
    """A run, as far as SafeCheckpointHook sees it."""
    iter = 7

    def __init__(self, model, **cfg):
        self.model = model
        self.cfg = Config(cfg)


def test_gradients_are_for_those_who_resume():
    """Not for a training that starts from the weights."""
    hook = SafeCheckpointHook()
    for resume in (False, True):
        checkpoint = dict(gradients=[1], meta={})
        hook.after_load_checkpoint(Run(nn.Linear(1, 1), resume=resume),
                                   checkpoint)
        assert hook._gradients == ([1] if resume else None)
        assert 'gradients' not in checkpoint


@pytest.mark.parametrize('loader, says, never', [
    ('train_dataloader', '--auto-scale-lr', 'again'),
    ('val_dataloader', 'val_dataloader.batch_size', 'scale'),
    ('test_dataloader', 'then start it again', 'resume')])
def test_what_is_to_be_done(loader, says, never):
    """Each loader has its own remedies."""
    run = Run(None)
    text = failures.sentence(
        RuntimeError("can't allocate memory"), run,
        dict(inputs=torch.zeros(2, 3, 4, 4)), False, loader)
    assert says in text and never not in text and '(2, 3, 4, 4)' in text
    text = failures.sentence(
        RuntimeError('DataLoader worker (pid 5) is killed by signal: Killed'),
        run, None, True, loader)
    assert f'{loader}.num_workers' in text


def test_mmcv_without_cuda(monkeypatch):
    """It is noticed before a detector trains, and never of a classifier."""
    def nms(*args):
        raise RuntimeError('nms_impl: implementation for device cuda:0 not '
                           'found.\nmore')

    monkeypatch.setattr('mmcv.ops.nms', nms)
    monkeypatch.setattr(torch, 'ones', lambda *_, device: None)
    monkeypatch.setattr(torch, 'tensor', lambda *_, device: None)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda: (9, 0))
    distributed.check_gpu(Config(dict(default_scope='mmpretrain')))
    head = dict(pixel_decoder=dict(type='mmdet.MSDeformAttnPixelDecoder'))
    for cfg in (dict(default_scope='mmdet'),
                dict(default_scope='mmseg', model=dict(decode_head=head))):
        with pytest.raises(UserError, match='TORCH_CUDA_ARCH_LIST=9.0'):
            distributed.check_gpu(Config(cfg))


@pytest.mark.parametrize('hidden, warnings', [(None, 1), ('', 0)])
def test_a_driver_without_a_gpu(hidden, warnings, monkeypatch, tmp_path):
    lines = []
    monkeypatch.setattr(distributed, 'print_log',
                        lambda text, **_: lines.append(text))
    monkeypatch.setattr(distributed, 'DRIVER', str(tmp_path))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if hidden is not None:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', hidden)
    distributed.check_gpu(Config())
    assert len(lines) == warnings


def test_an_old_torch(monkeypatch):
    monkeypatch.setattr(environment, 'version_of',
                        lambda name, path=None: '2.5.1+cu121')
    with pytest.raises(UserError, match='torch 2.5.1.* too old.*2.6 or newer'):
        environment.check_stack()
