"""Masks and polygons of composed digits."""
import numpy as np
import pytest
from pycocotools import mask as mask_api
from sample_data import coco, scenes
from sample_data.sources import Sources


@pytest.fixture(scope='module')
def val():
    return Sources('val')


def rasterised(lines, shape):
    """The mask that pycocotools makes of polygons."""
    runs = mask_api.frPyObjects([line.ravel().tolist() for line in lines],
                                *shape)
    return mask_api.decode(mask_api.merge(runs)).astype(bool)


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def test_polygons_reproduce_the_masks_of_digits(val):
    for size, least in ((16, 0.85), (33, 0.94), (64, 0.97)):
        for digit in list(val.digits.values())[::24]:
            cover, _ = scenes.render_digit(digit, size, 5)
            assert iou(rasterised(scenes.trace(cover), cover.shape),
                       cover > 0.5) > least


def test_holes_are_cut_out():
    rows, cols = np.mgrid[:60, :60] - 30
    distance = np.hypot(rows, cols)
    ring = (np.clip(25 - distance, 0, 1) * np.clip(distance - 12, 0, 1))
    # an island in the hole, and two holes in one outline
    ring = np.maximum(ring, np.clip(6 - distance, 0, 1)).astype(np.float32)
    ring[10:15, 28:33] = 0
    lines = scenes.trace(ring)
    assert len(lines) == 2
    assert iou(rasterised(lines, ring.shape), ring > 0.5) > 0.97


def test_an_outline_along_the_border_is_closed():
    cover = np.zeros((20, 30), np.float32)
    cover[:8, 22:] = 1
    line, = scenes.trace(cover)
    assert line.min() >= 0 and (line.max(0) <= (30, 20)).all()
    assert iou(rasterised([line], cover.shape), cover > 0.5) > 0.95


@pytest.mark.parametrize('mask', [
    np.zeros((3, 4), bool),
    np.ones((3, 4), bool),
    np.eye(5, dtype=bool),
    np.arange(35).reshape(5, 7) % 3 == 0,
])
def test_run_lengths_are_what_pycocotools_reads(mask):
    runs = mask_api.frPyObjects(
        dict(counts=coco.run_lengths(mask), size=list(mask.shape)),
        *mask.shape)
    assert (mask_api.decode(runs).astype(bool) == mask).all()


def test_rendering_keeps_size_and_turns_the_right_way():
    tall = np.zeros((8, 8), np.float32)
    tall[0:8, 3:5] = 1
    upright, _ = scenes.render_digit(tall, 80)
    assert upright.shape == pytest.approx((82, 22), abs=5)
    lying, _ = scenes.render_digit(tall, 80, 90)
    assert lying.shape == pytest.approx((22, 82), abs=5)


def test_placed_rectangles_do_not_touch():
    rng = np.random.default_rng(1)
    taken = []
    for _ in range(40):
        scenes.place(rng, (100, 80), (12, 17), taken, gap=3)
    assert len(taken) > 5
    canvas = np.zeros((106, 86), int)
    for top, left, bottom, right in taken:
        assert top >= 0 and left >= 0 and bottom <= 100 and right <= 80
        canvas[top:bottom + 3, left:right + 3] += 1
    assert canvas.max() == 1
    assert scenes.place(rng, (10, 80), (12, 17), []) is None


def test_digits_are_brighter_than_any_background(val):
    rng = np.random.default_rng(2)
    weights = np.array((0.299, 0.587, 0.114))
    for _ in range(20):
        assert scenes.bright_colour(rng) @ weights * 0.78 > 130
        photo = scenes.dark_photo(rng, val, 40, 60, scenes.used())
        assert np.percentile(photo @ weights, 99) < 145
