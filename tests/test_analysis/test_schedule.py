"""The learning rate of a config."""
from pathlib import Path

import pytest
from mmengine.config import Config

from hpvit_mm.analysis.schedule import iterations_per_epoch, learning_rates
from hpvit_mm.errors import UserError

CONFIGS = Path(__file__).parents[2] / 'configs'


def config(**entries):
    return Config(dict(dict(
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        train_cfg=dict(max_iters=10),
        param_scheduler=dict(type='LinearLR', start_factor=0.5, begin=0,
                             end=5, by_epoch=False)), **entries))


def test_a_warm_up():
    rates = learning_rates(config())
    assert len(rates) == 10
    assert rates[0] == pytest.approx(0.05)
    assert rates[4:] == pytest.approx([0.1] * 6)
    assert rates == sorted(rates)


def test_epochs_become_iterations():
    cfg = config(train_cfg=dict(max_epochs=3), param_scheduler=[
        dict(type='MultiStepLR', milestones=[1, 2], gamma=0.1,
             by_epoch=True)],
        train_dataloader=dict(dataset=dict(type='Mine')))
    assert learning_rates(cfg, 2) == pytest.approx(
        [0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    with pytest.raises(UserError, match='--epoch-length'):
        learning_rates(cfg)


@pytest.mark.parametrize('pattern, length', [
    ('imagenet/hpvit-base-conv-mae_8xb128-100e_in1k.py', 1252),
    # ViTDet's 184,375 iterations are of 118,000 images an epoch
    ('coco/hpvit-base-conv-mae_mask-rcnn_8xb8-lsj-100e_coco.py', 183250 / 25),
    ('coco/hpvit-base-conv-mae_mask-rcnn_8xb2x4-*.py', 4 * 117266 / 16)])
def test_the_length_of_known_data_sets(pattern, length):
    path, = CONFIGS.glob(pattern)
    assert iterations_per_epoch(Config.fromfile(path)) == pytest.approx(
        length, rel=2e-3)


def test_nothing_is_trained():
    cfg = Config.fromfile(CONFIGS / 'imagenet/vit-base-mae_knn_in1k.py')
    with pytest.raises(UserError, match='does not train'):
        learning_rates(cfg)
