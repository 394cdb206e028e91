"""Every config: it parses, builds, reads data, and is what its name says."""
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import (DATASETS, METRICS, MODELS, DefaultScope,
                               init_default_scope)

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(
    p.relative_to(ROOT).as_posix() for p in ROOT.glob('configs/[!_]*/*.py'))
SAMPLES = {
    'ImageNet': 'imagenet',
    'CocoDataset': 'coco/',
    'ADE20KDataset': 'ade/ADEChallengeData2016',
    'BaseSegDataset': 'ade/ADEChallengeData2016',
    'CityscapesDataset': 'cityscapes/',
}
DIGITS = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven',
          'eight', 'nine')


@pytest.fixture(params=CONFIGS)
def cfg(request):
    """A config, in the default scope of its library."""
    cfg = Config.fromfile(ROOT / request.param)
    init_default_scope(cfg.default_scope)
    yield cfg
    DefaultScope._instance_dict.pop(cfg.default_scope, None)


def on_samples(dataset: dict, sample_data) -> dict:
    """The data set, reading the sample data of its layout."""
    if 'dataset' in dataset:
        return dict(dataset, dataset=on_samples(dataset['dataset'],
                                                sample_data))
    dataset = dict(dataset,
                   data_root=f'{sample_data}/{SAMPLES[dataset["type"]]}')
    if dataset['type'] == 'CocoDataset':
        dataset['metainfo'] = dict(classes=DIGITS)
    return dataset


def test_the_model_builds(cfg):
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert type(model.backbone).__name__ == 'HPViT'


def input_size(cfg):
    """(height, width) of the images for training, by the config's names."""
    for name in ('crop_size', 'image_size'):
        if name in cfg:
            return tuple(cfg[name])
    for transform in cfg.train_pipeline:
        if transform['type'] == 'RandomResizedCrop':
            return transform['scale'], transform['scale']


def test_the_pipelines_read_data(cfg, sample_data):
    train = DATASETS.build(
        on_samples(cfg.train_dataloader.dataset, sample_data))
    shapes = {tuple(train[i]['inputs'].shape[1:]) for i in range(4)}
    if cfg.default_scope == 'mmseg':
        # the preprocessor pads what is smaller than the crop
        assert tuple(cfg.model.data_preprocessor.size) == input_size(cfg)
        assert all(h <= input_size(cfg)[0] and w <= input_size(cfg)[1]
                   for h, w in shapes)
    else:
        assert shapes == {input_size(cfg)}
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        dataset = DATASETS.build(on_samples(loader.dataset, sample_data))
        assert dataset[0]['inputs'].shape[0] == 3
    if 'tta_pipeline' in cfg:
        dataset = DATASETS.build(
            dict(on_samples(cfg.test_dataloader.dataset, sample_data),
                 pipeline=cfg.tta_pipeline))
        assert len(dataset[0]['inputs']) > 1


def test_the_metrics_build(cfg):
    evaluator = dict(cfg.val_evaluator)
    evaluator.pop('ann_file', None)
    assert METRICS.build(evaluator)


def test_heads_have_the_classes_of_the_data(cfg):
    counts = set(re.findall(r'num_classes=(\d+)', cfg.pretty_text))
    assert len(counts) == 1
    dataset = cfg.train_dataloader.dataset
    dataset = dataset.get('dataset', dataset)
    if 'metainfo' in dataset:
        assert counts == {str(len(dataset.metainfo['classes']))}


def test_the_name_is_what_the_body_does(cfg):
    name = Path(cfg.filename).stem
    gpus, batch = map(int, re.search(r'(\d+)xb(\d+)', name).groups())
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.auto_scale_lr.base_batch_size == gpus * batch
    assert ('-amp' in name) == (cfg.optim_wrapper.type == 'AmpOptimWrapper')
    length, unit = re.search(r'(\d+)(e|i|k)_', name).groups()
    if unit == 'e':
        times = cfg.train_dataloader.dataset.get('times', 1)
        assert cfg.train_cfg.max_epochs * times == int(length)
        last = cfg.train_cfg.max_epochs
    else:
        last = int(length) * (1000 if unit == 'k' else 1)
        assert cfg.train_cfg.max_iters == last
    assert cfg.param_scheduler[-1].end == last
    backbone = cfg.model.backbone
    if 'base' in name:
        assert backbone.arch == 'base'
    for pooling in ('conv', 'avg'):
        if f'-{pooling}-' in name:
            assert backbone.pooling == pooling
    sizes = re.search(r'-(\d+)x(\d+)$', name)
    if sizes:
        assert input_size(cfg) == tuple(map(int, sizes.groups()))


def inheritance_depth(path: Path) -> int:
    bases = re.findall(r"'(\.[^']*\.py)'", path.read_text())
    return 1 + max(
        (inheritance_depth(path.parent / base) for base in bases), default=0)


@pytest.mark.parametrize('path', CONFIGS)
def test_inheritance_is_shallow(path):
    assert inheritance_depth(ROOT / path) <= 3 + path.count('vit-mini_1xb64')


def test_a_dumped_config_reads_the_same(cfg, tmp_path):
    cfg.dump(tmp_path / 'dumped.py')
    assert Config.fromfile(tmp_path / 'dumped.py').to_dict() == cfg.to_dict()
