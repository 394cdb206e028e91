"""COCO 2017's layout: digits on photographs, as instances.

``annotations/instances_{train,val}2017.json`` and ``{train,val}2017/`` with
12-digit file names. As in the original, category ids have gaps, objects may
be in several parts or crowds, and pictures may hold no object at all.
"""
import json

import numpy as np
from PIL import Image

from . import scenes
from .sources import DIGIT_NAMES, SPLITS

CLASSES = DIGIT_NAMES
CATEGORY_IDS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89)
COUNTS = dict(default=dict(train=500, val=100), tiny=dict(train=24, val=16))
_SET = 2


def kind_of(index, split):
    """What is special about picture number ``index`` of a split.

    'small' (a picture under 32 pixels) and 'speck' (an object under one
    pixel) are what training drops and nobody could find; they stay out of
    validation.
    """
    if split == 'train' and index in (7, 9):
        return 'small' if index == 7 else 'speck'
    if index % 40 == 3:
        return 'empty'
    if index % 20 == 5:
        return 'crowd'
    return 'bar' if index % 10 == 1 else 'plain'


def write(root, sources, split, count, size, seed):
    """Write one split; see :func:`hpvit_mm.datasets.imagenet.write`."""
    folder = root / f'{split}2017'
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    # Ids rise with gaps, and those of the splits do not overlap.
    rng = scenes.make_rng(seed, _SET, SPLITS.index(split))
    gaps = rng.integers(1, 200, count)
    ids = np.cumsum(gaps) + (0 if split == 'train' else 300_000)
    for index, image_id in enumerate(ids.tolist()):
        rng = scenes.make_rng(seed, _SET, SPLITS.index(split), index)
        scene, specks = _compose(rng, sources, kind_of(index, split), size,
                                 scenes.class_in_turn(index))
        name = f'{image_id:012d}.jpg'
        image = Image.fromarray(scenes.to_bytes(scene.image))
        if index % 25 == 2:
            image = image.convert('L')
        image.save(folder / name, 'JPEG', quality=92, subsampling=0)
        height, width = scene.shape
        images.append(
            dict(license=1, file_name=name, coco_url='', height=height,
                 width=width, date_captured='2017-01-01 00:00:00',
                 flickr_url='', id=image_id))
        found = [_polygons(glyph) for glyph in scene.glyphs]
        found += [_speck(label, *box) for label, box in specks]
        found += [_crowd(glyph) for glyph in scene.crowds]
        for annotation in filter(None, found):
            # Ids start at 1: pycocotools takes 0 for "no match".
            annotations.append(
                dict(annotation, image_id=image_id,
                     id=1 + len(annotations) +
                     (0 if split == 'train' else 100_000)))
        yield f'{split}2017/{name}', scene.used
    (root / 'annotations').mkdir(exist_ok=True)
    with open(root / 'annotations' / f'instances_{split}2017.json', 'w') as f:
        json.dump(
            dict(info=dict(
                description='HPViT sample data in the layout of COCO 2017',
                url='', version='1.0', year=2017, contributor='hpvit_mm',
                date_created='2017/01/01'),
                 licenses=[dict(url='', id=1, name='see README.md')],
                 images=images, annotations=annotations,
                 categories=[
                     dict(supercategory='digit', id=i, name=name)
                     for i, name in zip(CATEGORY_IDS, CLASSES)
                 ]), f)


def _compose(rng, sources, kind, size, first):
    """A scene, its first digit of class ``first``, and its specks.

    Specks are (label, box) with box x, y, w, h.
    """
    height = width = size
    if kind == 'small':
        height, width = 28, 24
    elif rng.random() < 0.5:
        shorter = int(size * scenes.uniform(rng, 0.7, 0.95))
        height, width = ((shorter, size)
                         if rng.random() < 0.5 else (size, shorter))
    scene = scenes.Scene(np.zeros((height, width, 3), np.float32))
    scene.image += scenes.dark_photo(rng, sources, height, width, scene.used)
    taken = []
    if kind == 'crowd':
        scene.crowds.append(_add_crowd(rng, scene, sources, size, taken))
    count = 0 if kind == 'empty' else int(rng.integers(1, 4))
    if kind == 'small':
        count = 1
    for i in range(count):
        side = min(height, width) * scenes.uniform(rng, 0.26, 0.5)
        glyph = scenes.add_digit(rng, scene, sources, side, taken,
                                 label=None if i else first)
        if glyph is not None:
            scene.glyphs.append(glyph)
    if kind == 'bar' and scene.glyphs:
        scenes.add_bar(rng, scene, sources, scene.glyphs[0])
    specks = []
    if kind == 'speck':
        y, x = height // 2, width // 2
        scene.image[y, x] = 230
        specks.append((int(rng.integers(10)), (x + 0.1, y + 0.1, 0.8, 0.8)))
    return scene, specks


def _add_crowd(rng, scene, sources, size, taken):
    """A heap of small digits of one class, as one glyph."""
    label = int(rng.integers(10))
    side = int(size * 0.42)
    spot = scenes.place(rng, scene.shape, (side, side), taken)
    rows, cols = slice(spot[0], spot[0] + side), slice(spot[1], spot[1] + side)
    # A scene in the scene; its image is a view, so drawing shows.
    part = scenes.Scene(scene.image[rows, cols], used=scene.used)
    cover = np.zeros(scene.shape, np.float32)
    inner = []
    for _ in range(12):
        glyph = scenes.add_digit(rng, part, sources, size * 0.12, inner,
                                 label=label, gap=0)
        if glyph is not None:
            cover[rows, cols] = np.maximum(cover[rows, cols], glyph.cover)
    return scenes.Glyph(label, -1, cover)


def _polygons(glyph):
    mask = glyph.mask
    lines = scenes.trace(glyph.cover)
    if not lines:
        return None
    points = np.concatenate(lines).round(2)
    x, y = points.min(0)
    width, height = points.max(0) - (x, y)
    return dict(
        segmentation=[line.round(2).ravel().tolist() for line in lines],
        area=float(mask.sum()), iscrowd=0,
        bbox=[round(float(v), 2) for v in (x, y, width, height)],
        category_id=CATEGORY_IDS[glyph.label])


def _speck(label, x, y, width, height):
    corners = ((x, y), (x + width, y), (x + width, y + height),
               (x, y + height))
    return dict(
        segmentation=[[round(v, 2) for corner in corners for v in corner]],
        area=round(width * height, 2), iscrowd=0,
        bbox=[round(v, 2) for v in (x, y, width, height)],
        category_id=CATEGORY_IDS[label])


def run_lengths(mask):
    """COCO's uncompressed run lengths: down the columns, background first."""
    flat = np.concatenate([[0], mask.ravel(order='F').astype(np.int8), [0]])
    edges = np.flatnonzero(np.diff(flat))
    ends = np.concatenate([[0], edges, [mask.size]])
    counts = np.diff(ends).tolist()
    return counts[:-1] if counts[-1] == 0 else counts


def _crowd(glyph):
    mask = glyph.mask
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return dict(
        segmentation=dict(counts=run_lengths(mask), size=list(mask.shape)),
        area=float(mask.sum()), iscrowd=1,
        bbox=[float(cols[0]), float(rows[0]),
              float(np.ptp(cols) + 1), float(np.ptp(rows) + 1)],
        category_id=CATEGORY_IDS[glyph.label])
