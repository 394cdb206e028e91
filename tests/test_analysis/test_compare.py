"""The comparison of two models on the same images."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, PixelData

from hpvit_mm.analysis.compare import (Scores, bootstrap, changed,
                                       confusions, metric, score_images)


def scores(hits, totals=None):
    hits = np.array(hits)
    return Scores([f'{i}.jpg' for i in range(len(hits))], hits,
                  np.ones_like(hits) if totals is None else np.array(totals),
                  np.zeros((hits.shape[1], ) * 2))


def test_interval_of_accuracy_is_that_of_paired_differences():
    random = np.random.RandomState(0)
    one, other = random.rand(2, 400) < [[0.7], [0.8]]
    difference, (low, high), contrary = bootstrap(
        scores(one[:, None]), scores(other[:, None]), False)
    paired = other.astype(float) - one
    assert difference == pytest.approx(paired.mean())
    error = 1.96 * paired.std() / 20
    assert (low, high) == pytest.approx(
        (difference - error, difference + error), abs=0.1 * error)
    assert contrary < 0.05


def test_iou_is_the_mean_of_the_classes_that_occur():
    # one class without a pixel
    one = scores([[5, 0, 0], [1, 2, 0]], [[6, 2, 0], [4, 2, 0]])
    value = metric(one.hits.sum(0), one.totals.sum(0), True)
    assert value == pytest.approx((6 / 10 + 2 / 4) / 2)


def test_a_model_does_not_differ_from_itself():
    one = scores([[1, 0], [0, 1]], [[1, 1], [1, 1]])
    assert bootstrap(one, one, True) == (0, (0, 0), 1)
    assert changed(one, one) == []


def test_changed_images_begin_with_the_largest_loss():
    one, other = scores([[1], [0], [1]]), scores([[1], [1], [0]])
    assert changed(one, other) == [('2.jpg', 1, 0), ('1.jpg', 0, 1)]


def segmented(truth, labels):
    """A batch of one image, and what a model says of it."""
    batch, said = (BaseDataElement(**{
        name: PixelData(data=torch.tensor([one])), 'img_path': 'a.png'})
        for name, one in (('gt_sem_seg', truth), ('pred_sem_seg', labels)))
    return dict(data_samples=[batch]), [said]


def test_pixels_are_counted():
    batch, said = segmented([[0, 0, 1, 255]], [[0, 1, 1, 2]])
    model = SimpleNamespace(test_step=lambda _: said)
    one = score_images(model, [batch], 3)
    assert one.hits.tolist() == [[1, 1, 0]]
    assert one.totals.tolist() == [[2, 2, 0]]
    assert one.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert confusions(one, 'abc', 5) == [('a', 'b', 0.5)]
