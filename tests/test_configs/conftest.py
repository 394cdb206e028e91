"""Every config, in the scope of its library."""
import copy

import pytest
from experiments import DIGITS, configs, make_small, on_samples, read
from mmengine.registry import DefaultScope, init_default_scope

# The sample data have labels of no more classes.
CITYSCAPES_CLASSES = 19


def pytest_generate_tests(metafunc):
    """Run a test that takes ``cfg`` once for every config."""
    own = any(mark.args[0] == 'cfg' for mark in
              metafunc.definition.iter_markers('parametrize'))
    if 'cfg' in metafunc.fixturenames and not own:
        metafunc.parametrize('cfg', configs(), indirect=True)


@pytest.fixture
def cfg(request):
    """A config, in the default scope of its library."""
    cfg = copy.deepcopy(read(request.param))
    init_default_scope(cfg.default_scope)
    yield cfg
    DefaultScope._instance_dict.pop(cfg.default_scope, None)


@pytest.fixture
def small(cfg, sample_data):
    """The config, small enough for a CPU, on the sample data."""
    make_small(cfg)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(name):
            cfg[name].dataset = on_samples(cfg[name].dataset, sample_data)
    for name in ('val_evaluator', 'test_evaluator'):
        if 'ann_file' in (cfg.get(name) or ()):
            cfg[name].ann_file = \
                f'{sample_data}/coco/annotations/instances_val2017.json'
    if cfg.default_scope == 'mmdet':
        few_classes(cfg.model, len(DIGITS))
    if cfg.default_scope == 'mmseg':  # ADE20K's 150 take half of the time
        few_classes(cfg.model, CITYSCAPES_CLASSES)
    return cfg


def few_classes(node, number):
    """Give the heads of a model no more classes than ``number``."""
    if isinstance(node, (list, tuple)):
        for one in node:
            few_classes(one, number)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in ('num_classes', 'num_things_classes'):
            node[key] = min(value, number)
        elif key == 'class_weight':  # the last one is of no class
            node[key] = value[:min(len(value) - 1, number)] + value[-1:]
        else:
            few_classes(value, number)
