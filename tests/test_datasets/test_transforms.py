"""Our transforms give what the hosts' give, bit for bit."""
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.registry import TRANSFORMS, DefaultScope
from mmpretrain.datasets import transforms as mmpretrain_transforms
from mmseg.datasets import transforms as mmseg_transforms

from hpvit_mm.datasets.transforms import pixels, seg
from hpvit_mm.errors import UserError


def image(rng, shape=None, channels=3):
    height, width = shape or rng.integers(20, 90, 2)
    return rng.integers(0, 256, (height, width, channels), np.uint8)


def views(img):
    """An image as crops and flips leave it."""
    yield img
    yield img[3:-2, 5:-1]
    yield img[:, ::-1]
    yield img[::-1]
    yield img[::-1, ::-1]
    yield img[2:-2, 3:][:, ::-1]


def build(kind, host='mmpretrain', **options):
    with DefaultScope.overwrite_default_scope(host):
        return TRANSFORMS.build(dict(type=f'hpvit_mm.{kind}', **options))


def both(ours, theirs, make, seed):
    """Results of both from the same seed, which draw equally often."""
    found = []
    for transform in (ours, theirs):
        random.seed(seed)
        np.random.seed(seed)
        found.append(transform(make()))
        found.append(np.random.random())
    assert found[1] == found[3]
    return found[0], found[2]


# ----------------------------------------------------------------- pixels
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_order_in_memory(channels):
    rng = np.random.default_rng(0)
    for view in views(image(rng, channels=channels)):
        assert np.array_equal(pixels.upright(view), view)
        assert pixels.upright(view).shape == view.shape
        assert min(pixels.upright(view).strides) > 0
        planar = pixels.planar(view)
        assert planar.shape == view.shape
        assert np.array_equal(planar, view)
        # what the hosts do with it copies nothing
        packed = planar.transpose(2, 0, 1)
        assert np.ascontiguousarray(packed).ctypes.data == packed.ctypes.data


@pytest.mark.parametrize('img', [np.zeros((4, 5), np.uint8),
                                 np.zeros((4, 5, 3), np.float32)])
def test_other_images_stay_as_they_are(img):
    assert pixels.planar(img) is img
    assert np.array_equal(pixels.upright(img[:, ::-1]), img[:, ::-1])


# ------------------------------------------------------------- mmpretrain
@pytest.mark.parametrize('options', [
    dict(scale=32, backend='pillow', interpolation='bicubic'),
    dict(scale=(24, 40), crop_ratio_range=(0.5, 1.)),
    dict(scale=32, max_attempts=0, backend='pillow')])
def test_random_resized_crop(options):
    ours = build('RandomResizedCrop', **options)
    theirs = mmpretrain_transforms.RandomResizedCrop(**options)
    rng = np.random.default_rng(0)
    for seed in range(60):
        img = image(rng)
        one, other = both(ours, theirs, lambda: dict(img=img), seed)
        assert np.array_equal(one['img'], other['img'])
        assert one['img_shape'] == other['img_shape']


# ------------------------------------------------------------------ mmseg
def labels(rng, shape, dominating):
    """One class nearly everywhere, or several; some ignored."""
    out = rng.integers(0, 3, shape).astype(np.uint8)
    if dominating:
        out[rng.random(shape) < dominating] = 7
    out[:rng.integers(shape[0])] = 255
    return out


@pytest.mark.parametrize('dominating', [0, 0.7, 0.74, 1])
@pytest.mark.parametrize('dtype', [np.uint8, np.int32])
@pytest.mark.parametrize('ignore_index', [255, 7, -1])
def test_random_crop_by_classes(dominating, dtype, ignore_index):
    options = dict(crop_size=(32, 48), cat_max_ratio=0.75,
                   ignore_index=ignore_index)
    ours = build('SegRandomCrop', 'mmseg', **options)
    theirs = mmseg_transforms.RandomCrop(**options)
    rng = np.random.default_rng(0)
    for seed in range(30):
        img = image(rng)
        one, other = both(ours, theirs, lambda: dict(
            img=img, seg_fields=['gt_seg_map'], gt_seg_map=labels(
                np.random.default_rng(seed), img.shape[:2],
                dominating).astype(dtype)), seed)
        for key in ('img', 'gt_seg_map'):
            assert np.array_equal(one[key], other[key])
        assert one['img_shape'] == other['img_shape']


def test_random_crop_anywhere():
    ours = build('SegRandomCrop', 'mmseg', crop_size=16)
    theirs = mmseg_transforms.RandomCrop(16)
    img = image(np.random.default_rng(0))
    one, other = both(ours, theirs, lambda: dict(img=img), 0)
    assert np.array_equal(one['img'], other['img'])


def test_photo_metric_distortion():
    ours = build('SegPhotoMetricDistortion', 'mmseg')
    theirs = mmseg_transforms.PhotoMetricDistortion()
    rng = np.random.default_rng(0)
    for seed in range(50):
        img = image(rng)
        for view in views(img):
            before = view.copy()
            one, other = both(ours, theirs, lambda: dict(img=view), seed)
            assert one['img'].dtype == np.uint8
            assert np.array_equal(one['img'], other['img'])
            assert np.array_equal(view, before)


def test_photo_metric_distortion_of_floats():
    with pytest.raises(UserError, match='uint8 images, not float32'):
        seg.SegPhotoMetricDistortion()(dict(img=np.zeros((4, 4, 3),
                                                         np.float32)))


def test_pack_seg_inputs():
    ours = build('PackSegInputs', 'mmseg')
    theirs = mmseg_transforms.PackSegInputs()
    for view in views(image(np.random.default_rng(0))):
        one, other = (transform(dict(img=view, gt_seg_map=view[..., 0]))
                      for transform in (ours, theirs))
        assert torch.equal(one['inputs'], other['inputs'])
        assert one['inputs'].is_contiguous()
        assert torch.equal(one['data_samples'].gt_sem_seg.data,
                           other['data_samples'].gt_sem_seg.data)
    assert 'inputs' not in ours(dict(gt_seg_map=view[..., 0]))


# --------------------------------------------------------------- registry
def test_a_type_imports_its_own_host_alone():
    code = """
import sys
from hpvit_mm import environment
environment.prepare()
from mmengine.registry import TRANSFORMS
import hpvit_mm.registry, hpvit_mm.datasets.transforms
hosts = ('mmpretrain', 'mmdet', 'mmseg')
assert not set(hosts) & set(sys.modules)
TRANSFORMS.build(dict(type='hpvit_mm.RandomResizedCrop', scale=8))
assert 'mmpretrain' in sys.modules
assert not {'mmdet', 'mmseg'} & set(sys.modules)
"""
    subprocess.run([sys.executable, '-c', code], check=True)


def test_unknown_types():
    with pytest.raises(KeyError, match='hpvit_mm.NoSuchTransform'):
        build('NoSuchTransform')
