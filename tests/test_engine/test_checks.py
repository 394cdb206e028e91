"""Parts of the checks that the tools' tests do not reach."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import HOOKS
from torch import nn

from hpvit_mm.cli import run_tool
from hpvit_mm.engine.checks import check_run, checkpoint, options
from hpvit_mm.engine.checks.build import building, first_text
from hpvit_mm.engine.checks.parts import build_skeleton
from hpvit_mm.engine.run import train
from hpvit_mm.errors import USER_ERROR, UserError

QUICKSTART = sorted(
    (Path(__file__).parents[2] / 'configs/quickstart').glob('*.py'))


@pytest.mark.parametrize('option', [
    'train_dataloader.batch_size', 'train_dataloader.prefetch_factor',
    'train_cfg.val_interval', 'optim_wrapper.clip_grad.max_norm',
    'optim_wrapper.paramwise_cfg.anything', 'randomness.deterministic',
    'auto_scale_lr.base_batch_size', 'find_unused_parameters',
    'default_hooks.checkpoint.interval', 'default_hooks.my_own.type',
    'default_hooks.checkpoint.priority', 'env_cfg.dist_cfg.timeout',
    'model.backbone.anything', 'param_scheduler.0.end', 'load_from'])
def test_options_that_make_sense(option):
    cfg = Config(dict(
        model=dict(backbone=None), train_dataloader=dict(),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD')),
        param_scheduler=[dict(type='PolyLR')],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook'))))
    options.check_options(cfg, {option: 1})


def test_skeleton_takes_no_memory():
    cfg = Config(dict(model=dict(type='hpvit_mm.HPViT', arch='huge')))
    model = build_skeleton(cfg)
    assert {one.device.type for one in model.parameters()} == {'meta'}


def test_checkpoint_with_new_heads(tmp_path):
    """Fine-tuning may start from a model with other heads."""
    model = nn.ModuleDict(dict(backbone=nn.Linear(2, 3), head=nn.Linear(3, 4)))
    tensors = nn.ModuleDict(dict(
        backbone=nn.Linear(2, 3), head=nn.Linear(3, 9))).state_dict()
    torch.save(dict(state_dict=tensors), tmp_path / 'a.pth')
    file = str(tmp_path / 'a.pth')
    checkpoint.check_checkpoint(model, file, new_heads=True)
    with pytest.raises(UserError, match='its backbone fits'):
        checkpoint.check_checkpoint(model, file)
    del tensors['backbone.bias']
    torch.save(dict(state_dict=tensors), tmp_path / 'a.pth')
    with pytest.raises(UserError, match='backbone.bias'):
        checkpoint.check_checkpoint(model, file, new_heads=True)


def test_modules_may_adapt_a_checkpoint(tmp_path):
    """As position embeddings are resampled: shapes alone do not decide."""

    class Adapts(nn.Linear):

        def _load_from_state_dict(self, state_dict, prefix, *args):
            state_dict[prefix + 'bias'] = state_dict[prefix + 'bias'][:3]
            super()._load_from_state_dict(state_dict, prefix, *args)

    tensors = dict(weight=torch.zeros(3, 2), bias=torch.zeros(7))
    torch.save(tensors, tmp_path / 'a.pth')
    model = Adapts(2, 3, device='meta')
    checkpoint.check_checkpoint(model, str(tmp_path / 'a.pth'))


@pytest.mark.parametrize('option, text', [
    ('train_dataloader.batch_size=zero', "KEY is 'zero', but must be a whole"),
    ('train_dataloader.batch_size=0', 'KEY is 0, but must be a whole number'),
    ('val_dataloader.batch_size=1.5', 'KEY is 1.5, but must be a whole'),
    ('train_dataloader.num_workers=two', "KEY is 'two', but must be a whole"),
    ('val_dataloader.num_workers=-1', 'KEY is -1, but must be a whole number'),
    ('train_cfg.max_epochs=abc', "KEY is 'abc', but must be a number"),
    ('train_cfg.max_epochs=0', 'KEY is 0, but must be a number of at least 1'),
    ('train_cfg.val_interval=x', "KEY is 'x', but must be a number"),
    ('train_cfg.dynamic_intervals=3', 'KEY is 3, which ResumableEpochLoop'),
    ('default_hooks.checkpoint.interval=x', "KEY is 'x', but must be a whole"),
    ('default_hooks.logger.interval=x', "KEY is 'x', but must be a whole"),
    ('default_hooks.checkpoint.save_best=[a,b] '
     'default_hooks.checkpoint.rule=most', 'rule'),
    ('param_scheduler.0.end=x', "KEY is 'x', which LinearLR refuses"),
    ('optim_wrapper.optimizer.lr=abc', "KEY is 'abc', which"),
    ('optim_wrapper.optimizer.lr=-1', 'KEY is -1, which OptimWrapper refuses '
                                      '(Invalid learning rate: -1)'),
    ('optim_wrapper.optimizer.betas=3', 'KEY is 3, which'),
    ('optim_wrapper.accumulative_counts=no', "KEY is 'no', which"),
    ('optim_wrapper.clip_grad=5', 'KEY is 5, which OptimWrapper refuses'),
    ('randomness.seed=x', "KEY is 'x', but must be a whole number"),
    ('randomness.seed=4294967296', 'KEY is 4294967296, but must be a whole'),
    ('model.backbone.drop_path_rate=x',
     "drop_path_rate must be from 0 to less than 1, but it is 'x'"),
    ('model.backbone.window_size=a',
     "window_size must be a whole number, but it is 'a'"),
    ('model.backbone.stage_depths=3', 'stage_depths=(3,)'),
    ('model.backbone.norm_cfg.type=Nope',
     'model.backbone.norm_cfg: there is no Nope among the types; correct'),
    ('model.head.num_classes=0', 'KEY is 0, which LinearClsHead refuses'),
    ('train_dataloader.dataset.pipeline.1.scale=-3',
     'pipeline.1.scale is -3, which RandomResizedCrop refuses'),
    ('model.head.num_classes=ten', "KEY is 'ten', which LinearClsHead"),
    ('visualizer.vis_backends=5', 'vis_backends must be a list of dicts')])
def test_wrong_values(option, text, sample_data, tmp_path, monkeypatch,
                      capsys):
    """One sentence, which names the key, before anything is made."""
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/samples').symlink_to(sample_data)
    monkeypatch.chdir(tmp_path)
    path = next(path for path in QUICKSTART if 'sample-im' in path.stem)
    status = run_tool(lambda: train([
        str(path), '--work-dir', 'work', '--cfg-options',
        'model.backbone.init_cfg=None', *option.split()]))
    line = capsys.readouterr().err.splitlines()[-1]
    assert status == USER_ERROR and line.startswith('error: ')
    assert text.replace('KEY', option.split('=')[0]) in line
    assert not list((tmp_path / 'work').glob('*.pth'))


def test_errors_of_other_classes_keep_their_traceback():
    """They may be faults of that class."""
    class Own:

        def __init__(self):
            raise ValueError('a fault')

    entry = dict(type=Own)
    with pytest.raises(ValueError, match='a fault') as caught:
        with building(entry, 'custom_hooks.0'):
            HOOKS.build(entry)
    assert not isinstance(caught.value, UserError)


def test_the_innermost_dict_is_named():
    """Also one of two that are alike."""
    hook = dict(type='EMAHook', momentum=0.1)
    entry = dict(type='Other', a=hook, b=[hook, dict(hook, begin_iter='x')])
    with pytest.raises(UserError, match=r"^x\.b\.1\.begin_iter is 'x', which"):
        with building(entry, 'x'):
            HOOKS.build(entry['b'][1])


@pytest.mark.parametrize('first, later, text', [
    (ValueError('the cat\nsat'), ValueError('class X: the cat\nsat'),
     'the cat sat'),
    (AssertionError(), AssertionError('class X: '), 'AssertionError'),
    (KeyError('a'), TypeError('no such a thing'), 'no such a thing')])
def test_first_text(first, later, text):
    try:
        try:
            raise first
        except Exception:
            raise later
    except Exception as error:
        assert first_text(error) == text


@pytest.mark.parametrize('path', QUICKSTART, ids=lambda path: path.stem)
def test_no_false_alarm(path, sample_data, tmp_path, monkeypatch):
    """The quick start's own experiments pass every check."""
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/samples').symlink_to(sample_data)
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(path)
    cfg.work_dir = 'work'
    cfg.model.backbone.init_cfg = None  # the weights are another's test
    check_run(cfg, training=True)
    check_run(cfg, training=False)


def test_the_cause_of_a_checkpoint_of_another_model():
    """A part of the backbone that the model lacks is no matter of heads."""
    own = {'backbone.a': torch.ones(2), 'head.b': torch.ones(2)}
    for more, says in (({'head.b': torch.ones(3)}, 'not its other parts'),
                       ({'backbone.pools.0.weight': torch.ones(1)},
                        'model.backbone, neck')):
        assert says in checkpoint.likely_cause(
            own, dict(own, **more), 'x.pth')
