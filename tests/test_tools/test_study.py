"""The study: probes, statistics, resuming, and the report."""
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from hpvit_mm.analysis.cost import skeleton
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools/study'))
import grid  # noqa: E402
import make_report  # noqa: E402
import pretrain  # noqa: E402
import probe  # noqa: E402
import run as study  # noqa: E402
import tune  # noqa: E402


@pytest.mark.slow
def test_from_nothing_to_a_report(sample_data, tmp_path, inside, capfd,
                                  monkeypatch):
    """The trainings run in this process, which saves the imports."""
    monkeypatch.setattr(tune, 'run', lambda tool, *argv, log: inside(
        tool, *argv))
    command = ['--budget', 'smoke', '--data', str(sample_data), '--work-dir',
               str(tmp_path)]
    assert study.main(command) == 0
    results = json.loads((tmp_path / 'results.json').read_text())
    kept, = tmp_path.rglob('*.pth')  # of a pre-training
    assert not results['missing'] and kept.name.startswith('mae-plain-0-')
    # of what is done nothing is repeated, and what is lost is made again
    lost, = tmp_path.glob('features-plain-*/result.json')
    lost.unlink()
    capfd.readouterr()
    assert study.main(command) == 0
    said, = capfd.readouterr().out.splitlines()
    assert said.endswith('features plain')
    assert make_report.main([str(tmp_path / 'results.json'), '--page',
                             str(tmp_path / 'study.md')]) == 0
    page = (tmp_path / 'study.md').read_text()
    assert '| hpvit all |' in page and 'not measured yet' in page
    assert (tmp_path / 'study/maps.png').exists()
    assert (tmp_path / 'study/segment.png').exists()
    assert '| plain | plain ViT-Tiny |' in page  # pre-trained in miniature
    losses = make_report.losses_of(results, 'segment')['hpvit']
    assert list(losses) == [2] and np.isfinite(losses[2])


def test_missing_data_are_named(tmp_path, capsys):
    assert study.main(['--budget', 'cpu', '--data', str(tmp_path)]) == 2
    log = capsys.readouterr().err
    assert log.count('\n') == 1 and 'dinov2s' in log


def test_a_changed_setting_has_another_folder(tmp_path):
    def folders(budget):
        return [step.folder(tmp_path) for step in study.steps(
            budget, tmp_path, tmp_path)]

    first = folders(grid.CPU)
    assert len(set(first)) == len(first) and folders(grid.CPU) == first
    changed = folders(dataclasses.replace(
        grid.CPU, segmentation=dataclasses.replace(grid.CAMVID,
                                                   num_train=61)))
    assert [a == b for a, b in zip(first, changed)] == [
        not one.name.startswith('segmentation') for one in first]


@pytest.mark.parametrize('budget', grid.BUDGETS.values(),
                         ids=list(grid.BUDGETS))
def test_all_networks_of_the_grid_exist(budget):
    rows = grid.networks(budget)
    with torch.device('meta'):
        for row in rows.values():
            options = dict(row.backbone)
            options.pop('patch_resize', None)
            model = HPViT(**options)
            assert len(model.blocks) == budget.depth
    named = {name for names in budget.frozen.values() for name in names}
    named.update(name for _, names, _ in budget.tuned for name in names)
    assert named <= set(rows)
    assert set(budget.pretraining[0]) <= set(grid.MINIATURES)
    for one in grid.questions(budget):
        known = grid.MINIATURES if one.task == 'pretrain' else rows
        assert {one.a.split(' ')[0], one.b.split(' ')[0]} <= set(known)


@pytest.mark.parametrize('task', ['segment', 'classify 2', 'detect'])
def test_configs_of_the_fine_tuning(task, sample_data, tmp_path):
    kind, budget = task.split(' ')[0], grid.SMOKE
    settings = dict(iterations=2, batch=2, images=2,
                    size=64 if kind == 'classify' else (64, 64))
    for name in grid.COMPARED:
        network = grid.networks(budget)[name]
        folder = tmp_path / name
        folder.mkdir()
        path, size = tune.write_config(
            budget, task, network, settings, 0, sample_data,
            ROOT / budget.weights, folder)
        cfg = Config.fromfile(path)
        model = skeleton(cfg)
        assert size == (64 * network.scale, ) * 2
        assert len(model.backbone.blocks) == 6
        assert cfg.train_cfg.max_iters == cfg.param_scheduler[1].end == 2


@pytest.mark.parametrize('found, ap', [
    ({'coco/bbox_mAP': .3, 'coco/segm_mAP': .2, 'coco/segm_mAP_50': .4,
      'coco/segm_mAP_s': .1, 'coco/segm_mAP_m': .2, 'coco/segm_mAP_l': -1.},
     [.2, .3, .1, .2, -1.]),
    ({}, [0.] * 5)])
def test_ap_by_size(found, ap, tmp_path, monkeypatch):
    monkeypatch.setattr(tune, 'run', lambda *argv, log: argv[-1].write_text(
        json.dumps(found)))
    assert list(tune.test_detect(grid.CPU, None, None, None,
                                 tmp_path).values()) == ap


# ---------------------------------------------------------------- the probes


def test_features_at_pixels_are_those_of_an_enlarged_map():
    one = torch.randn(5, 6, 8)
    rows, columns = (place.ravel() for place in np.mgrid[:24, :32])
    torch.testing.assert_close(
        probe.at_pixels(one, 4, rows, columns).view(5, 24, 32),
        F.interpolate(one[None], scale_factor=4, mode='bilinear')[0])


def test_a_linear_head_finds_classes_on_any_scale():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 4, generator=generator) * torch.tensor(
        [1., 100., 0.01, 1.]) + 5
    labels = (x[:, 1] > 5).long() + 2 * (x[:, 2] > 5).long()
    head = probe.LinearHead(x, labels, 4, 1e-4)
    assert (head(x).argmax(1) == labels).float().mean() > 0.95


def test_intersection_and_union():
    truth = np.array([0, 0, 1, 1, probe.IGNORED])
    counts = probe.overlap(np.array([0, 1, 1, 1, 0]), truth, 3)
    assert counts == [[1, 2], [2, 3], [0, 0]]
    values = np.array([[counts]], dtype=float)
    assert make_report.score('mIoU', values)[0] == pytest.approx(
        100 * (1 / 2 + 2 / 3) / 2)


# ------------------------------------------------------------ the statistics


def test_intervals_hold_the_difference_as_often_as_they_say():
    """Of paired accuracies whose true difference is known."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(30):
        hard = rng.random(200)
        a = (hard[None] < 0.7).astype(float)
        b = np.where(rng.random(200) < 0.1, 1 - a[0], a[0])[None]
        difference, low, high = make_report.compare('accuracy', a, b)
        assert low <= difference <= high
        inside += low <= 100 * (0.7 - (0.7 * 0.9 + 0.3 * 0.1)) <= high
    assert 26 <= inside <= 30


def test_the_same_is_not_told_apart():
    a = np.random.default_rng(0).random((3, 40))
    assert make_report.compare('accuracy', a, a) == (0, 0, 0)
    # one seed of a metric without images tells nothing
    low, high = make_report.compare('mask AP', np.array([.2]),
                                    np.array([.1]))[1:]
    assert low == -np.inf and high == np.inf


def test_folders_that_are_missing():
    with pytest.raises(UserError, match='get it from there'):
        probe.check_folder(Path('/none'), 'there')


@pytest.mark.parametrize('name', grid.MINIATURES)
def test_small_networks_take_the_weights_of_their_pretraining(name,
                                                              sample_data,
                                                              tmp_path):
    """Names and shapes of both models, without a run."""
    path = pretrain.write_config(
        grid.SMOKE, pretrain.MODELS[name], grid.SMOKE.pretraining[1], 0,
        sample_data, tmp_path)
    cfg = Config.fromfile(path)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        pretrained = MODELS.build(cfg.model)
    weights = tmp_path / 'mae.pth'
    torch.save(pretrained.state_dict(), weights)
    network = grid.MINIATURES[name]
    path, size = tune.write_config(
        grid.SMOKE, 'classify', network, grid.SMOKE.pretraining[1]['tune'], 0,
        sample_data, weights, tmp_path)
    cfg = Config.fromfile(path)
    assert size == (grid.SIDE, grid.SIDE)
    assert cfg.model.head.in_channels == network.channels
    backbone = MODELS.build(cfg.model.backbone)
    backbone.init_weights()
    own, given = backbone.state_dict(), pretrained.backbone.state_dict()
    assert sum(name in given and torch.equal(tensor, given[name])
               for name, tensor in own.items()) > len(own) / 2
