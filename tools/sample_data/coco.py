"""COCO 2017's folder structure: digits on photographs, as instances.

``annotations/instances_{train,val}2017.json`` and ``{train,val}2017/`` with
12-digit file names. As in the original, category ids have gaps, objects may
be in several parts or crowds, and images may hold no object at all.
"""
import json

import numpy as np

from . import scenes
from .sources import DIGIT_NAMES, SPLITS

CLASSES = DIGIT_NAMES
CATEGORY_IDS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89)
COUNTS = dict(default=dict(train=500, val=100), tiny=dict(train=24, val=16))
_SET = 2


def kind_of(index, split):
    """Special properties of an image of a split.

    'small' (an image under 32 pixels) and 'speck' (an object under one pixel)
    are what training drops; nothing could find them in validation.
    """
    if split == 'train' and index in (7, 9):
        return 'small' if index == 7 else 'speck'
    if index % 40 == 3:
        return 'empty'
    if index % 20 == 5:
        return 'crowd'
    return 'bar' if index % 10 == 1 else 'plain'


def write(root, sources, split, count, size):
    """Write one split; see :func:`imagenet.write`."""
    folder = root / f'{split}2017'
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    # Ids rise with gaps, and those of the splits do not overlap.
    rng = scenes.make_rng(_SET, SPLITS.index(split))
    ids = np.cumsum(rng.integers(1, 200, count))
    offset = 0 if split == 'train' else 300_000
    for index, image_id in enumerate((ids + offset).tolist()):
        rng = scenes.make_rng(_SET, SPLITS.index(split), index)
        scene, found = _compose(rng, sources, kind_of(index, split), size,
                                scenes.class_in_turn(index))
        name = f'{image_id:012d}.jpg'
        scenes.save_jpeg(scene.image, folder / name, index)
        height, width = scene.shape
        images.append(
            dict(license=1, file_name=name, coco_url='', height=height,
                 width=width, date_captured='2017-01-01 00:00:00',
                 flickr_url='', id=image_id))
        for annotation in found:
            # Ids start at 1: pycocotools takes 0 for "no match".
            annotations.append(dict(
                annotation, image_id=image_id,
                id=1 + len(annotations) + offset // 3))
        yield f'{split}2017/{name}', scene.used
    (root / 'annotations').mkdir(exist_ok=True)
    categories = [dict(supercategory='digit', id=i, name=name)
                  for i, name in zip(CATEGORY_IDS, CLASSES)]
    info = dict(description='HPViT sample data in the layout of COCO 2017',
                url='', version='1.0', year=2017, contributor='hpvit_mm',
                date_created='2017/01/01')
    with open(root / 'annotations' / f'instances_{split}2017.json', 'w') as f:
        json.dump(dict(
            info=info, licenses=[dict(url='', id=1, name='see README.md')],
            images=images, annotations=annotations, categories=categories), f)


def _compose(rng, sources, kind, size, first):
    """A scene, its first digit of class ``first``, and its annotations."""
    if kind == 'small':
        height, width = 28, 24
    else:
        height, width = scenes.random_shape(rng, size, 0.7, 0.95)
    scene = scenes.Scene(
        scenes.dark_photo(rng, sources, height, width, used := scenes.used()),
        used=used)
    taken, crowd, glyphs = [], None, []
    if kind == 'crowd':
        crowd = _add_crowd(rng, scene, sources, size, taken)
    count = 0 if kind == 'empty' else int(rng.integers(1, 4))
    for i in range(1 if kind == 'small' else count):
        side = min(height, width) * scenes.uniform(rng, 0.26, 0.5)
        glyphs.append(scenes.add_digit(rng, scene, sources, side, taken,
                                       label=None if i else first))
    glyphs = list(filter(None, glyphs))
    if kind == 'bar' and glyphs:
        scenes.add_bar(rng, scene, sources, glyphs)
    found = [_polygons(glyph) for glyph in glyphs]
    if kind == 'speck':
        y, x = height // 2, width // 2
        scene.image[y, x] = 230
        x, y, label = x + 0.1, y + 0.1, int(rng.integers(10))
        corners = (x, y, x + 0.8, y, x + 0.8, y + 0.8, x, y + 0.8)
        found.append(_annotation(label, [[round(v, 2) for v in corners]],
                                 0.64, (x, y, 0.8, 0.8)))
    if crowd is not None:
        mask = crowd.mask
        rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        found.append(_annotation(
            crowd.label,
            dict(counts=run_lengths(mask), size=list(mask.shape)), mask.sum(),
            (cols[0], rows[0], np.ptp(cols) + 1, np.ptp(rows) + 1), crowd=1))
    return scene, list(filter(None, found))


def _add_crowd(rng, scene, sources, size, taken):
    """A heap of small digits of one class, as one glyph."""
    label = int(rng.integers(10))
    side = int(size * 0.42)
    top, left = scenes.place(rng, scene.shape, (side, side), taken)
    rows, cols = slice(top, top + side), slice(left, left + side)
    # A scene in the scene; its image is a view, so drawing shows.
    part = scenes.Scene(scene.image[rows, cols], used=scene.used)
    cover = np.zeros(scene.shape, np.float32)
    inner = []
    for _ in range(12):
        glyph = scenes.add_digit(rng, part, sources, size * 0.12, inner,
                                 label=label, gap=0)
        if glyph is not None:
            cover[rows, cols] = np.maximum(cover[rows, cols], glyph.cover)
    return scenes.Glyph(label, cover)


def _polygons(glyph):
    lines = [line.round(2) for line in scenes.trace(glyph.cover)]
    if not lines:
        return None
    points = np.concatenate(lines)
    low, high = points.min(0), points.max(0)
    return _annotation(glyph.label, [line.ravel().tolist() for line in lines],
                       glyph.mask.sum(), (*low, *(high - low)))


def _annotation(label, segmentation, area, box, crowd=0):
    return dict(segmentation=segmentation, area=float(area), iscrowd=crowd,
                bbox=[round(float(v), 2) for v in box],
                category_id=CATEGORY_IDS[label])


def run_lengths(mask):
    """COCO's uncompressed run lengths: down the columns, background first."""
    flat = np.concatenate([[0], mask.ravel(order='F').astype(np.int8), [0]])
    edges = np.flatnonzero(np.diff(flat))
    counts = np.diff([0, *edges, mask.size]).tolist()
    return counts[:-1] if counts[-1] == 0 else counts
