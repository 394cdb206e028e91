"""The same counts as mmseg's, whatever the labels are."""
import random

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.evaluation import IoUMetric
from mmseg.structures import SegDataSample

from hpvit_mm.evaluation import iou_metric
from hpvit_mm.evaluation.iou_metric import FastIoUMetric, count_pairs

DEVICES = ['cpu'] + ['cuda'] * torch.cuda.is_available()
SIGNED = (torch.int8, torch.int16, torch.int32, torch.int64)
CLASSES = (1, 2, 3, 19, 150, 1000, 3000)


def assert_equal_counts(*arguments):
    theirs = IoUMetric.intersect_and_union(*arguments)
    ours = FastIoUMetric.intersect_and_union(*arguments)
    assert len(ours) == len(theirs) == 4
    for one, other in zip(ours, theirs):
        assert one.dtype == other.dtype and one.device == other.device
        assert torch.equal(one, other), arguments


def random_labels(shape, dtype, num_classes, dice):
    """Mostly classes; with luck below 0, above the classes, and ignored."""
    info = torch.iinfo(dtype)
    low = max(dice.choice((0, 0, -3)), info.min)
    high = min(num_classes + dice.choice((0, 0, 5)), info.max)
    labels = torch.randint(low, high + (low == high), shape)
    if dice.random() < 0.5:
        labels[torch.rand(shape) < 0.2] = min(255, info.max)
    return labels.to(dtype)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('num_classes', CLASSES)
def test_any_labels(num_classes, device):
    dice = random.Random(num_classes)
    torch.manual_seed(num_classes)
    for _ in range(40):
        shape = tuple(dice.choice((0, 1, 2, 9, 33)) for _ in range(2))
        dtypes = dice.choice(((torch.uint8, ) * 2, (torch.int64, ) * 2,
                              dice.sample(SIGNED, 2)))
        pred, label = (random_labels(shape, dtype, num_classes, dice)
                       .to(device) for dtype in dtypes)
        if dice.random() < 0.5:
            label = torch.where(torch.rand(shape).to(device) < 0.5, pred,
                                label.to(pred))
        assert_equal_counts(pred, label, num_classes, dice.choice(
            (255, 0, 1, num_classes - 1, num_classes, -1, 127, 300)))


@pytest.mark.parametrize('num_classes', [2, 19, 150, 1000])
def test_every_class_is_counted_where_the_host_counts_it(num_classes):
    labels = torch.arange(-2, num_classes + 3)
    assert_equal_counts(labels.abs(), labels, num_classes, 255)
    usual = labels.clamp(0, num_classes - 1)
    assert count_pairs(usual, usual, num_classes, 255) is not None


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bool])
def test_other_types_are_counted_by_the_host(dtype):
    torch.manual_seed(0)
    pred, label = (torch.randint(0, 2, (9, 9)).to(dtype) for _ in range(2))
    assert_equal_counts(pred, label, 2, 255)
    assert count_pairs(pred, label, 2, 255) is None


def test_what_is_too_large_is_counted_by_the_host(monkeypatch):
    torch.manual_seed(0)
    pred, label = (torch.randint(0, 5, (9, 9)) for _ in range(2))
    for name in ('MAX_PAIRS', 'MAX_PIXELS'):
        with monkeypatch.context() as patch:
            patch.setattr(iou_metric, name, 24)
            assert count_pairs(pred, label, 5, 255) is None
    pred[0, 0] = 2**33
    assert_equal_counts(pred, label, 5, 255)
    assert_equal_counts(label, pred, 5, 255)


def test_other_ignored_indices():
    labels = torch.randint(0, 9, (7, 7))
    for index in (2., None):
        assert_equal_counts(labels, labels.flip(0), 9, index)


def test_different_shapes_are_an_error():
    for metric in (IoUMetric, FastIoUMetric):
        with pytest.raises(IndexError):
            metric.intersect_and_union(torch.zeros(3, 3), torch.zeros(2, 3),
                                       5, 255)


def samples(num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    for size in ((20, 30), (1, 7), (25, 25)):
        true = torch.randint(0, num_classes, (1, *size), generator=generator)
        pred = torch.where(torch.rand(true.shape, generator=generator) < 0.6,
                           true, true.flip(2))
        true[torch.rand(true.shape, generator=generator) < 0.1] = 255
        sample = SegDataSample(metainfo=dict(
            img_path=f'{size[0]}.jpg', reduce_zero_label=False))
        sample.gt_sem_seg = PixelData(data=true)
        sample.pred_sem_seg = PixelData(data=pred)
        yield sample.to_dict()


@pytest.mark.parametrize('options', [
    dict(), dict(iou_metrics=['mIoU', 'mDice', 'mFscore'], beta=2),
    dict(ignore_index=3, nan_to_num=-1), dict(output_dir='maps')])
def test_the_metrics(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = []
    for kind in (IoUMetric, FastIoUMetric):
        metric = kind(**options)
        metric.dataset_meta = dict(classes=[str(i) for i in range(12)])
        for sample in samples(11, 0):  # the last class does not occur
            metric.process({}, [sample])
        results.append(metric.evaluate(3))
    assert results[0].keys() == results[1].keys()
    for name, value in results[0].items():
        np.testing.assert_equal(results[1][name], value)
    assert len(list(tmp_path.glob('maps/*.png'))) \
        == 3 * ('output_dir' in options)
