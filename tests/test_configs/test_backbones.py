"""The pre-trained backbones of configs/_base_/backbones."""
from pathlib import Path

import pytest
import torch
from experiments import configs, read
from mmengine.config import Config
from mmengine.registry import MODELS

from hpvit_mm.models import HPViT
from hpvit_mm.models.backbones.archs import ARCHS

FOLDER = Path(__file__).parents[2] / 'configs/_base_/backbones'


@pytest.mark.parametrize('file', sorted(FOLDER.glob('*.py')),
                         ids=lambda file: file.stem)
def test_a_backbone_is_the_architecture_of_its_name(file):
    cfg = Config.fromfile(file)
    assert cfg.backbone.arch == file.stem and file.stem in ARCHS
    assert len(cfg.normalization.mean) == len(cfg.normalization.std) == 3
    with torch.device('meta'):
        HPViT(**{name: value for name, value in cfg.backbone.items()
                 if name != 'type'})


def test_an_experiment_takes_the_backbone_of_a_base(tmp_path):
    file = tmp_path / 'experiment.py'
    models = FOLDER.parent / 'models/hpvit_classifier.py'
    file.write_text(
        f"_base_ = ['{FOLDER}/dinov3-base.py', '{models}']\n"
        'model = dict(backbone=_base_.backbone,\n'
        '             data_preprocessor=_base_.normalization)\n')
    model = Config.fromfile(file).model
    assert model.backbone.arch == 'dinov3-base'
    assert model.backbone.out_type == 'avg_featmap'
    assert model.data_preprocessor.num_classes == 1000


@pytest.mark.parametrize('name', [
    name for name in configs() if '-base-' in name and '-dinov' in name
    and '-frozen' not in name and '_linear' not in name])
def test_the_documented_options_freeze_a_backbone(name):
    backbone = dict(read(name).model.backbone, init_cfg=None, pooling='avg',
                    frozen_stages=1 if '/vit-' in name else 4)
    with torch.device('meta'):
        parameters = list(MODELS.build(backbone).parameters())
    assert parameters and not any(one.requires_grad for one in parameters)
