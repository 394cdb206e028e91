"""Our transforms give what the hosts' give, bit for bit."""
import io
import pickle
import random
import subprocess
import sys
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from mmdet.datasets import transforms as mmdet_transforms
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import pseudo_collate
from mmengine.registry import TRANSFORMS, DefaultScope
from mmpretrain.datasets import transforms as mmpretrain_transforms
from mmseg.datasets import transforms as mmseg_transforms
from torch.utils.data import DataLoader

from hpvit_mm.datasets.transforms import masks, pixels, seg
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
    ours = build('FastRandomResizedCrop', **options)
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
    ours = build('FastSegRandomCrop', 'mmseg', **options)
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
    ours = build('FastSegRandomCrop', 'mmseg', crop_size=16)
    theirs = mmseg_transforms.RandomCrop(16)
    img = image(np.random.default_rng(0))
    one, other = both(ours, theirs, lambda: dict(img=img), 0)
    assert np.array_equal(one['img'], other['img'])


def test_photo_metric_distortion():
    ours = build('FastSegPhotoMetricDistortion', 'mmseg')
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
        seg.FastSegPhotoMetricDistortion()(dict(img=np.zeros((4, 4, 3),
                                                         np.float32)))


def test_pack_seg_inputs():
    ours = build('FastPackSegInputs', 'mmseg')
    theirs = mmseg_transforms.PackSegInputs()
    for view in views(image(np.random.default_rng(0))):
        one, other = (transform(dict(img=view, gt_seg_map=view[..., 0]))
                      for transform in (ours, theirs))
        assert torch.equal(one['inputs'], other['inputs'])
        assert one['inputs'].is_contiguous()
        assert torch.equal(one['data_samples'].gt_sem_seg.data,
                           other['data_samples'].gt_sem_seg.data)
    assert 'inputs' not in ours(dict(gt_seg_map=view[..., 0]))


# ------------------------------------------------------------------ mmdet
def polygon(rng, height, width):
    """A triangle, larger or smaller, perhaps partly outside."""
    points = rng.random(2) * (width, height) + rng.normal(
        0, rng.uniform(1, width / 2), (3, 2))
    return points.round(2).ravel().tolist()


def loaded(height, width, count, seed=0):
    """What mmdet's LoadAnnotations gets, instances of all kinds."""
    rng = np.random.default_rng(seed)
    instances = []
    for i in range(count):
        mask = [polygon(rng, height, width) for _ in range(1 + i % 2)]
        if i == 3:  # a crowd: run lengths, by column
            mask = dict(size=[height, width],
                        counts=[5, 7, height * width - 12])
        if i == 4:  # no polygon
            mask = [[1, 2, 3]]
        instances.append(dict(bbox=[1, 2, 9, 9], bbox_label=i, mask=mask,
                              ignore_flag=int(i == 3)))
    return dict(img=image(rng, (height, width)), instances=instances,
                ori_shape=(height, width), img_shape=(height, width))


def load(seed=0, count=6, height=50, width=70):
    """The same masks, undrawn and drawn."""
    options = dict(with_bbox=True, with_mask=True)
    return [transform(loaded(height, width, count, seed))['gt_masks']
            for transform in (build('FastDetLoadAnnotations', 'mmdet', **options),
                              mmdet_transforms.LoadAnnotations(**options))]


def step(rng, height, width):
    """One of the things that happen to masks."""
    kind = rng.integers(6)
    if kind == 0:
        scale = rng.uniform(0.2, 3)
        return 'rescale', ((int(70 * scale), int(50 * scale)), )
    if kind == 1:
        return 'resize', (tuple(rng.integers(5, 150, 2).tolist()), )
    if kind == 2:
        left, top = rng.integers(0, width), rng.integers(0, height)
        size = rng.integers(1, 100, 2)
        return 'crop', (np.array([left, top, left + size[0],
                                  top + size[1]]), )
    if kind == 3:
        return 'flip', (['horizontal', 'vertical',
                         'diagonal'][rng.integers(3)], )
    if kind == 4:
        return 'pad', ((height + int(rng.integers(20)),
                        width + int(rng.integers(20))), )
    return '__getitem__', (rng.random(6) < 0.8, )


def check_masks(one, other):
    assert (one.height, one.width) == (other.height, other.width)
    assert len(one) == len(other)
    assert torch.equal(one.get_bboxes(HorizontalBoxes).tensor,
                       other.get_bboxes(HorizontalBoxes).tensor)
    assert one.masks.dtype == other.masks.dtype
    assert np.array_equal(one.masks, other.masks)


@pytest.mark.parametrize('seed', range(40))
def test_masks_are_moved_like_bitmaps(seed):
    rng = np.random.default_rng(seed)
    ours, theirs = load(seed)
    check_masks(ours, theirs)
    for _ in range(6):
        name, args = step(rng, ours.height, ours.width)
        if name == '__getitem__':
            args = (args[0][:len(ours)], )
        ours, theirs = (getattr(one, name)(*args) for one in (ours, theirs))
        assert isinstance(ours, masks.LazyMasks)
        if rng.random() < 0.5:
            check_masks(ours, theirs)
    check_masks(ours, theirs)


@pytest.mark.parametrize('call', [
    lambda one: one[2], lambda one: one[1:3], lambda one: one[[3, 1]],
    lambda one: one[np.array([], int)].rescale((30, 30)).pad((40, 40)),
    lambda one: one.resize((20, 30), 'bilinear'),
    lambda one: one.rescale((90, 90), interpolation='bilinear'),
    lambda one: one.pad((60, 80), 1), lambda one: one.expand(60, 80, 1, 2),
    lambda one: one.translate((50, 70), 4), lambda one: type(one).cat(
        [one, one])])
def test_all_else_draws(call):
    ours, theirs = load()
    check_masks(call(ours), call(theirs))
    assert np.array_equal(ours.areas, theirs.areas)
    assert [one.tolist() for one in ours] == [one.tolist() for one in theirs]


def test_no_instances():
    ours, theirs = load(count=0)
    for call in (lambda one: one, lambda one: one.rescale((30, 30)),
                 lambda one: one.flip().pad((60, 80)),
                 lambda one: one.crop(np.array([1, 2, 8, 9]))):
        check_masks(call(ours), call(theirs))


def test_polygons_stay_polygons():
    results = build('FastDetLoadAnnotations', 'mmdet', with_mask=True,
                    poly2mask=False)(loaded(50, 70, 2))
    assert not isinstance(results['gt_masks'], BitmapMasks)


def test_flip():
    ours = build('FastDetRandomFlip', 'mmdet', prob=1.)
    one, other = both(ours, mmdet_transforms.RandomFlip(prob=1.),
                      lambda: loaded(50, 70, 2), 0)
    assert np.array_equal(one['img'], other['img'])
    assert one['img'].strides[1] > 0 > other['img'].strides[1]


def packed(ours, seed=0, **options):
    results = loaded(50, 70, 6, seed)
    with DefaultScope.overwrite_default_scope('mmdet'):
        for name in ('LoadAnnotations', 'PackInputs'):
            kind = name.replace('Pack', 'PackDet')
            if ours:
                kind = 'hpvit_mm.Fast' + kind.replace('Load', 'DetLoad')
            more = options if 'Pack' in name else dict(with_mask=True)
            results = TRANSFORMS.build(dict(type=kind, **more))(results)
    return results


def test_pack_det_inputs():
    one, other = packed(True), packed(False)
    assert torch.equal(one['inputs'], other['inputs'])
    for kind in ('gt_instances', 'ignored_instances'):
        ours = one['data_samples'].get(kind)
        theirs = other['data_samples'].get(kind)
        assert set(ours.keys()) == set(theirs.keys())
        assert torch.equal(ours.labels, theirs.labels)
        assert torch.equal(ours.bboxes.tensor, theirs.bboxes.tensor)
        check_masks(ours.masks, theirs.masks)
    assert len(one['data_samples'].ignored_instances) == 2


def test_masks_are_drawn_once(monkeypatch):
    drawn = []
    draw = mmdet_transforms.LoadAnnotations._poly2mask

    def count(*args):
        drawn.append(args)
        return draw(*args)

    monkeypatch.setattr(mmdet_transforms.LoadAnnotations, '_poly2mask', count)
    packed(True)
    assert len(drawn) == 4  # two of the six are ignored
    sample = packed(True, draw_masks=False)['data_samples']
    sent = pickle.loads(pickle.dumps(sample))
    assert len(drawn) == 4
    check_masks(sent.gt_instances.masks,
                packed(False)['data_samples'].gt_instances.masks)


def test_drawn_masks_reach_another_process_as_tensors():
    ours = packed(True)['data_samples'].gt_instances.masks
    assert isinstance(ours, masks.DrawnMasks)
    received = pickle.loads(pickle.dumps(ours))
    check_masks(received, ours)
    sent = io.BytesIO()
    ForkingPickler(sent, pickle.HIGHEST_PROTOCOL).dump(ours)
    assert len(sent.getvalue()) < ours.masks.nbytes / 5
    # the preprocessor pads to the size of the batch
    assert ours.pad((50, 70)) is ours
    check_masks(ours.pad((60, 80)),
                BitmapMasks(ours.masks, 50, 70).pad((60, 80)))


def test_masks_come_from_a_worker():
    sample = packed(True)
    loader = DataLoader([sample, sample], batch_size=2, num_workers=1,
                        collate_fn=pseudo_collate)
    for received in next(iter(loader))['data_samples']:
        check_masks(received.gt_instances.masks,
                    packed(False)['data_samples'].gt_instances.masks)


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
TRANSFORMS.build(dict(type='hpvit_mm.FastRandomResizedCrop', scale=8))
assert 'mmpretrain' in sys.modules
assert not {'mmdet', 'mmseg'} & set(sys.modules)
"""
    subprocess.run([sys.executable, '-c', code], check=True)


def test_unknown_types():
    with pytest.raises(KeyError, match='hpvit_mm.NoSuchTransform'):
        build('NoSuchTransform')
