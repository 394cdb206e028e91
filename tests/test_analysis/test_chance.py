"""Chance levels, on arrays whose levels are known."""
import numpy as np
import pytest
from PIL import Image

from hpvit_mm.analysis import chance


def test_share_of_the_most_frequent_class():
    assert chance.most_frequent_share('aabac') == pytest.approx(60.)


def test_miou_of_the_most_frequent_class():
    # of eight valid pixels five are of class 1; three classes occur
    one = np.array([[1, 1, 1, 0], [255, 255, 255, 255]], dtype=np.uint8)
    two = np.array([[1, 1, 7, 7]], dtype=np.uint8)
    level = chance.most_frequent_miou([one, two])
    assert level == pytest.approx(100 * 5 / 8 / 3)


def test_ignored_pixels_are_never_the_most_frequent():
    labels = np.full((4, 4), 255, dtype=np.uint8)
    labels[0, 0] = 3
    assert chance.most_frequent_miou([labels]) == pytest.approx(100.)


def test_agrees_with_mmseg():
    torch = pytest.importorskip('torch')
    pytest.importorskip('mmseg')
    from mmseg.evaluation import IoUMetric
    labels = np.random.default_rng(0).choice(
        [0, 1, 2, 5, 255], p=[.1, .5, .2, .1, .1], size=(20, 20))
    metric = IoUMetric()
    metric.dataset_meta = dict(classes=list('abcdef'))
    areas = metric.intersect_and_union(
        torch.full((20, 20), 1), torch.from_numpy(labels), 6, 255)
    result = metric.compute_metrics([areas])['mIoU']
    level = chance.most_frequent_miou([labels.astype(np.uint8)])
    assert level == pytest.approx(result, abs=0.006)


def test_zero_is_ignored_on_demand(tmp_path):
    labels = np.array([[0, 0, 0, 1, 2, 2]], dtype=np.uint8)
    Image.fromarray(labels).save(tmp_path / 'a.png')
    read, = chance.read_label_maps([tmp_path / 'a.png'], True)
    assert read.tolist() == [[255, 255, 255, 0, 1, 1]]
    read, = chance.read_label_maps([tmp_path / 'a.png'])
    assert read.tolist() == labels.tolist()


def test_levels_of_the_quick_start(sample_data):
    from hpvit_mm.analysis.quickstart import EXPERIMENTS
    levels = [one.chance(sample_data) for one in EXPERIMENTS]
    assert all(0 <= level < one.floor
               for level, one in zip(levels, EXPERIMENTS))
    assert levels[0] >= 10 and levels[2] > 0 and levels[3] > 0
