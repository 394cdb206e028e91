"""Warnings before a training, of what is valid and seldom meant."""
from types import SimpleNamespace

import pytest
from mmengine.config import ConfigDict
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch import nn

from hpvit_mm.engine.run import warn_of_random_weights, warn_of_schedule


def runner(cfg, loop=IterBasedTrainLoop):
    lines = []
    loop = object.__new__(loop)
    loop._max_epochs, loop._max_iters = 2, 20
    return lines, SimpleNamespace(
        cfg=ConfigDict(cfg), train_loop=loop,
        logger=SimpleNamespace(warning=lines.append))


@pytest.mark.parametrize('entry, loop, says', [
    (dict(type='LinearLR', by_epoch=False, end=1000), EpochBasedTrainLoop,
     'goes on to iteration 1000, but the training ends at 20'),
    (dict(type='MultiStepLR', end=36), EpochBasedTrainLoop,
     'goes on to epoch 36, but the training ends at 2'),
    (dict(type='PolyLR', by_epoch=False, end=160), IterBasedTrainLoop,
     'param_scheduler[0] (PolyLR)'),
    (dict(type='PolyLR', by_epoch=False, end=20), IterBasedTrainLoop, ''),
    (dict(type='MultiStepLR'), EpochBasedTrainLoop, '')])
def test_schedules_that_go_on(entry, loop, says):
    lines, one = runner(dict(param_scheduler=[entry]), loop)
    warn_of_schedule(one)
    assert len(lines) == bool(says)
    assert says in ''.join(lines)


@pytest.mark.parametrize('cfg, number', [
    (dict(model=dict(backbone=dict())), 1),
    (dict(model=dict(backbone=dict(init_cfg=dict(type='Pretrained')))), 0),
    (dict(model=dict(backbone=dict()), load_from='x.pth'), 0)])
def test_random_weights(cfg, number):
    model = nn.Module()
    model.head = nn.Module()
    model.head.num_classes = 3
    lines, one = runner(cfg)
    warn_of_random_weights(one, model)
    assert len(lines) == number
