"""The configs of configs/pretrain."""
import copy
import re
from pathlib import Path

import pytest
import torch
from experiments import ROOT, learning_rates, on_samples, paths, read
from mmengine.registry import DATASETS, DefaultScope, init_default_scope

from hpvit_mm.analysis.cost import input_size, skeleton

PRETRAIN = [path for path in paths() if '/pretrain/' in path]


@pytest.fixture(params=PRETRAIN)
def pretraining(request):
    cfg = copy.deepcopy(read(request.param))
    init_default_scope(cfg.default_scope)
    yield cfg
    DefaultScope._instance_dict.pop(cfg.default_scope, None)


def test_it_is_what_its_name_says(pretraining):
    cfg = pretraining
    name = Path(cfg.filename).stem
    family, size, gpus, batch, steps, epochs = re.search(
        r'_([a-z]+)-(\w+?)[-_].*?(\d+)xb(\d+)(?:x(\d+))?-(\d+)e_',
        name).groups()
    backbone = cfg.model.backbone
    assert backbone.type.lower().endswith(family)
    if isinstance(backbone.arch, str):
        assert backbone.arch.startswith(size)
    steps = int(steps or 1)
    assert cfg.train_dataloader.batch_size == int(batch)
    assert cfg.optim_wrapper.get('accumulative_counts', 1) == steps
    assert cfg.auto_scale_lr.base_batch_size == int(gpus) * int(batch) * steps
    assert cfg.train_cfg.max_epochs == int(epochs)
    assert cfg.param_scheduler[-1].end == int(epochs)
    rates = learning_rates(cfg, 1)
    assert rates[-1] < 0.05 * max(rates)


def test_the_head_of_the_file(pretraining):
    cfg = pretraining
    head = Path(cfg.filename).read_text().split('"""')[1]
    assert Path(cfg.filename).relative_to(ROOT).as_posix() in head
    if '_in1k' in cfg.filename:
        labels = re.findall(r'^([A-Z]\w+) {2,}\S', head, re.M)
        assert labels == ['Recipe', 'Command', 'Cost', 'Result']


def test_the_model_takes_its_images(pretraining, sample_data):
    """Parts fit each other, and a step reaches every parameter."""
    cfg = pretraining
    if re.search('-(800|1600)e_', cfg.filename):
        return  # the same model as of 400 epochs
    model = skeleton(cfg).to('meta').train()
    side = input_size(pretraining)
    losses = model.loss(torch.empty(2, 3, *side, device='meta'), [])
    sum(losses.values()).backward()
    for name, one in model.named_parameters():
        assert one.requires_grad == (one.grad is not None), name
    if 'own-images' in cfg.filename:
        cfg.train_dataloader.dataset.data_root = \
            f'{sample_data}/imagenet/train'
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    else:
        dataset = DATASETS.build(
            on_samples(cfg.train_dataloader.dataset, sample_data))
    assert tuple(dataset[0]['inputs'].shape) == (3, *side)


@pytest.mark.parametrize('pattern, corners', [
    ('*vit-base_8xb512-400e*', {0: 1e-4, 40: 1, 220: 0.5}),
    ('*vit-base_8xb512-1600e*', {0: 1e-4, 40: 1, 820: 0.5})])
def test_corners_of_the_schedule(pattern, corners):
    for path in (ROOT / 'configs/pretrain').glob(pattern):
        cfg = read(path.relative_to(ROOT).as_posix())
        full = 1.6e-3 if 'hivit' in path.name else 2.4e-3
        assert cfg.optim_wrapper.optimizer.lr == full
        rates = learning_rates(cfg, 4)
        for epoch, factor in corners.items():
            assert rates[epoch * 4] == pytest.approx(
                factor * full, rel=1e-2)
