"""The batch size of a run, and the learning rate for it."""
import copy
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, PARAM_SCHEDULERS, DefaultScope

from hpvit_mm.engine.batch_size import settle_batch_size

CONFIGS = Path(__file__).parents[2] / 'configs'
QUICKSTART = sorted((CONFIGS / 'quickstart').glob('*.py'))
# one experiment of each library
HOSTS = [next((CONFIGS / 'quickstart').glob(f'hpvit-mini_*{name}.py'))
         for name in ('imagenet', 'coco', 'ade20k')]


def runner(cfg, world_size=1, name='auto_scale_lr'):
    """A Runner before training; FlexibleRunner has another attribute."""
    return SimpleNamespace(
        cfg=cfg, optim_wrapper=copy.deepcopy(cfg.optim_wrapper),
        world_size=world_size, logger=logging.getLogger('test_batch_size'),
        **{name: cfg.get('auto_scale_lr')})


def small(images=4, scaling=None, **wrapper):
    wrapper = dict(optimizer=dict(lr=1.), **wrapper)
    return Config(dict(
        train_dataloader=dict(batch_size=images), optim_wrapper=wrapper,
        auto_scale_lr=scaling))


@pytest.fixture
def said(caplog):
    """Settles the batch size; returns the level and text of the one line."""

    def settle(one):
        caplog.clear()
        with caplog.at_level('INFO'):
            settle_batch_size(one)
        record, = caplog.records
        return record.levelname, record.getMessage()

    return settle


def test_as_in_the_recipe(said):
    cfg = small(4, dict(base_batch_size=24), accumulative_counts=3)
    assert said(runner(cfg, world_size=2)) == (
        'INFO', 'Batch size: 4 images x 2 processes x 3 accumulated batches = '
        '24, as in the recipe')


@pytest.mark.parametrize('base, processes, remedies', [
    (16, 1, ['--auto-scale-lr', '0.25', 'accumulative_counts=4']),
    (16, 8, ['--auto-scale-lr', 'by 2']),
    (6, 1, ['--auto-scale-lr', '0.666667']),
])
def test_other_batches_than_in_the_recipe(base, processes, remedies, said):
    one = runner(small(4, dict(base_batch_size=base)), processes)
    level, text = said(one)
    assert level == 'WARNING'
    assert f' = {4 * processes}, ' in text and f' {base} images' in text
    for remedy in remedies:
        assert remedy in text
    assert ('accumulative_counts' in text) == (len(remedies) == 3)
    assert one.optim_wrapper.optimizer.lr == 1.


@pytest.mark.parametrize('scaling', [None, dict(enable=False)])
def test_nothing_to_compare_with(scaling, said):
    assert said(runner(small(4, scaling)))[0] == 'INFO'


@pytest.mark.parametrize('name', ['auto_scale_lr', '_auto_scale_lr'])
def test_scaling(name, said):
    cfg = small(4, dict(enable=True, base_batch_size=96),
                accumulative_counts=3)
    one = runner(cfg, 2, name)
    level, text = said(one)
    assert level == 'INFO' and 'multiplied by 0.25' in text
    assert one.optim_wrapper.optimizer.lr == 0.25
    # mmengine does not scale again
    assert not vars(one)[name]['enable']


@pytest.mark.parametrize('path', QUICKSTART, ids=lambda path: path.stem)
def test_the_quick_start_is_as_its_recipe(path, said):
    level, text = said(runner(Config.fromfile(path)))
    assert level == 'INFO' and 'as in the recipe' in text


@pytest.mark.parametrize('path', HOSTS, ids=lambda path: path.stem)
def test_all_rates_of_the_three_libraries(path):
    """Those of the layers, base_lr in the log, and those of the warm-up."""
    cfg = Config.fromfile(path)
    cfg.optim_wrapper.update(
        accumulative_counts=3, paramwise_cfg=dict(layer_decay_rate=0.5))
    with DefaultScope.overwrite_default_scope(cfg.default_scope), \
            torch.device('meta'):
        model = MODELS.build(cfg.model)
    recipe = rates(model, cfg.optim_wrapper)
    cfg.auto_scale_lr.enable = True
    one = runner(cfg, world_size=2)
    settle_batch_size(one)
    scaled = rates(model, one.optim_wrapper)
    assert len(set(recipe)) > 4
    assert scaled == pytest.approx([6 * rate for rate in recipe])


def rates(model, cfg):
    """Of all groups, in the first step of a warm-up and after it."""
    wrapper = build_optim_wrapper(model, copy.deepcopy(cfg))
    warm_up = PARAM_SCHEDULERS.build(
        dict(type='LinearLR', start_factor=0.1, end=2, optimizer=wrapper))
    found = []
    for _ in range(2):
        lr = wrapper.get_lr()
        found += lr['lr'] + lr['base_lr']
        wrapper.step()
        warm_up.step()
    return found
