"""Every config, on the sample data and small enough for a CPU."""
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope

from hpvit_mm.models.backbones.hpvit import ARCHS

ROOT = Path(__file__).parents[2]
SAMPLES = {
    'ImageNet': 'imagenet',
    'CocoDataset': 'coco/',
    'ADE20KDataset': 'ade/ADEChallengeData2016',
    'BaseSegDataset': 'ade/ADEChallengeData2016',
    'CityscapesDataset': 'cityscapes/',
}
DIGITS = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven',
          'eight', 'nine')
WIDTHS = (96, 192, 384, 768, 1024, 1280)


def pytest_generate_tests(metafunc):
    """Run a test that takes ``cfg`` once for every config."""
    if 'cfg' in metafunc.fixturenames:
        metafunc.parametrize('cfg', configs(), indirect=True)


def configs():
    """Paths of all experiments, relative to the repository."""
    return sorted(path.relative_to(ROOT).as_posix()
                  for path in ROOT.glob('configs/[!_]*/*.py'))


@pytest.fixture
def cfg(request):
    """A config, in the default scope of its library."""
    cfg = Config.fromfile(ROOT / request.param)
    init_default_scope(cfg.default_scope)
    yield cfg
    DefaultScope._instance_dict.pop(cfg.default_scope, None)


def on_samples(dataset: dict, root) -> dict:
    """The data set, reading the sample data of its layout."""
    if 'dataset' in dataset:
        return dict(dataset, dataset=on_samples(dataset['dataset'], root))
    dataset = dict(dataset, data_root=f'{root}/{SAMPLES[dataset["type"]]}')
    if dataset['type'] == 'CocoDataset':
        dataset['metainfo'] = dict(classes=DIGITS)
    return dataset


@pytest.fixture
def small(cfg, sample_data):
    """The config on the sample data, 32 channels wide, with all its parts.

    Images, depths, windows, losses and steps stay as they are.
    """
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(name):
            cfg[name].update(num_workers=0, persistent_workers=False,
                             batch_size=2 if 'train' in name else 1)
            cfg[name].dataset = on_samples(cfg[name].dataset, sample_data)
            if cfg.default_scope == 'mmpretrain':
                cfg[name].collate_fn = dict(type='default_collate')
    for name in ('val_evaluator', 'test_evaluator'):
        if 'ann_file' in (cfg.get(name) or ()):
            cfg[name].ann_file = \
                f'{sample_data}/coco/annotations/instances_val2017.json'
    if cfg.get('tta_pipeline'):  # two of the scales, to save time
        scales = cfg.tta_pipeline[1].transforms[0]
        del scales[2:]
    backbone = cfg.model.backbone
    arch = backbone.arch
    arch = dict(ARCHS[arch] if isinstance(arch, str) else arch)
    arch.update(embed_dims=32, num_heads=2, feedforward_channels=64)
    narrow(cfg.model)
    backbone.arch = arch
    backbone.init_cfg = None
    if backbone.get('frozen_stages', -1) < 0 and cfg.model.get('head'):
        cfg.model.head.init_cfg = None
    return cfg


def narrow(node) -> None:
    """Give the neck and the heads few channels."""
    if isinstance(node, (list, tuple)):
        for one in node:
            narrow(one)
    if not isinstance(node, dict):
        return
    if node.get('type') == 'CocoDataset':
        return
    for key, value in node.items():
        if key == 'num_classes' and value == 80:
            node[key] = len(DIGITS)
        elif key.endswith('channels') or key == 'input_features':
            node[key] = [narrowed(one) for one in value] if isinstance(
                value, (list, tuple)) else narrowed(value)
        else:
            narrow(value)
    if node.get('type') == 'hpvit_mm.SimpleFeaturePyramid':
        node['out_channels'] = 16


def narrowed(channels: int) -> int:
    return 32 if channels in WIDTHS else 16
