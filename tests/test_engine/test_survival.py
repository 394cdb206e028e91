"""What a training gets that its config lacks, and what a record tells."""
import pytest
from mmengine.config import Config

from hpvit_mm.cli import user_error_text
from hpvit_mm.engine import agreement
from hpvit_mm.engine.hooks.record import differences, flat_config
from hpvit_mm.engine.survival import HOOKS, ensure
from hpvit_mm.errors import UserError


@pytest.mark.parametrize('given, kind', [
    (dict(by_epoch=True), 'Epoch'), (dict(by_epoch=False), 'Iter'),
    (dict(type='EpochBasedTrainLoop'), 'Epoch'),
    (dict(type='IterBasedTrainLoop'), 'Iter'),
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


def test_loops_of_others_stay():
    cfg = Config(dict(train_cfg=dict(type='mine.Loop'), val_cfg=None,
                      test_cfg=dict(type='hpvit_mm.KNNTestLoop')))
    ensure(cfg)
    assert cfg.train_cfg.type == 'mine.Loop' and cfg.val_cfg is None
    assert cfg.test_cfg.type == 'hpvit_mm.KNNTestLoop'


@pytest.mark.parametrize('hooks', [
    None, dict(checkpoint=dict(type='CheckpointHook', interval=7)),
    dict(checkpoint=dict(interval=7), watchdog=dict(timeout=60))])
def test_hooks(hooks):
    cfg = Config(dict(default_hooks=hooks) if hooks else {})
    ensure(cfg)
    assert {name: cfg.default_hooks[name].type for name in HOOKS} == HOOKS
    assert cfg.default_hooks.checkpoint.get('interval', 7) == 7
    ensure(cfg)
    assert len(cfg.custom_hooks) == 1


def test_another_checkpoint_hook():
    with pytest.raises(UserError, match='relies on hpvit_mm.SafeCheckpoint'):
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
