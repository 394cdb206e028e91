"""ADE20K's layout: digits, textures and photographs, labelled densely.

``images/{training,validation}/ADE_{train,val}_<8 digits>.jpg`` and the label
maps of the same names in ``annotations/``, where 0 is "other", which mmseg
ignores (``reduce_zero_label=True``), and k is class k - 1.
"""
import numpy as np
from PIL import Image

from . import scenes
from .sources import SPLITS

STUFF = ('photograph', 'brick', 'gravel', 'grass')
# All digits are one class: which digit it is takes a small model longer to
# learn, pixel by pixel, than the quick start has.
CLASSES = STUFF + ('digit', )
PALETTE = ((120, 120, 180), (180, 90, 70), (140, 140, 140), (80, 160, 60),
           (255, 225, 25))
COUNTS = dict(default=dict(train=600, val=80), tiny=dict(train=20, val=16))
TINTS = dict(brick=(110, 62, 48), gravel=(92, 92, 96), grass=(58, 88, 40))
# Texture pixels along the shorter side of a picture.
WINDOWS = dict(brick=300, gravel=330, grass=300)
_SET = 3


def write(root, sources, split, count, size, seed):
    """Write one split; see :func:`hpvit_mm.datasets.imagenet.write`."""
    long_name = dict(train='training', val='validation')[split]
    images = root / 'images' / long_name
    labels = root / 'annotations' / long_name
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        rng = scenes.make_rng(seed, _SET, SPLITS.index(split), index)
        scene, label = _compose(rng, sources, size,
                                scenes.class_in_turn(index))
        name = f'ADE_{split}_{index + 1:08d}'
        image = Image.fromarray(scenes.to_bytes(scene.image))
        if index % 25 == 2:
            image = image.convert('L')
        image.save(images / f'{name}.jpg', 'JPEG', quality=92, subsampling=0)
        Image.fromarray(label).save(labels / f'{name}.png')
        yield f'images/{long_name}/{name}.jpg', scene.used


def write_lists(root, counts):
    """Write ``objectInfo150.txt`` and ``sceneCategories.txt``."""
    rows = ['Idx\tRatio\tTrain\tVal\tStuff\tName\n']
    rows += [
        f'{i}\t{1 / len(CLASSES):.4f}\t{counts["train"]}\t{counts["val"]}\t'
        f'{int(name in STUFF)}\t{name}\n'
        for i, name in enumerate(CLASSES, 1)
    ]
    (root / 'objectInfo150.txt').write_text(''.join(rows))
    (root / 'sceneCategories.txt').write_text(''.join(
        f'ADE_{split}_{i + 1:08d} digits\n' for split in ('train', 'val')
        for i in range(counts[split])))


def _compose(rng, sources, size, first):
    """A scene, its first digit of a class, and its (H, W) uint8 labels."""
    height = width = size
    if rng.random() < 0.5:
        shorter = int(size * scenes.uniform(rng, 0.72, 0.97))
        height, width = ((shorter, size)
                         if rng.random() < 0.5 else (size, shorter))
    scene = scenes.Scene(np.zeros((height, width, 3), np.float32))
    scene.image += scenes.dark_photo(rng, sources, height, width, scene.used)
    label = np.full((height, width), 1, np.uint8)
    if rng.random() < 0.75:
        _add_texture(rng, scene, sources, label)
    if rng.random() < 0.25:
        _add_card(rng, scene, label, size)
    taken = []
    for i in range(int(rng.integers(1, 3))):
        side = min(height, width) * scenes.uniform(rng, 0.5, 0.8)
        glyph = scenes.add_digit(rng, scene, sources, side, taken,
                                 label=None if i else first)
        if glyph is not None:
            # The rim is neither digit nor ground: nobody labels it.
            label[_grow(glyph.cover > 0)] = 0
            label[glyph.cover > 0.5] = len(CLASSES)
            scene.glyphs.append(glyph)
    return scene, label


def _add_texture(rng, scene, sources, label):
    """Fill the part of the picture beyond a slanted line with a texture."""
    height, width = scene.shape
    name = scenes.pick(rng, sources.textures)
    angle = np.radians(scenes.uniform(rng, 0, 360))
    rows, cols = np.mgrid[:height, :width].astype(np.float32)
    distance = ((cols - width / 2) * np.cos(angle) +
                (rows - height / 2) * np.sin(angle) -
                min(height, width) * scenes.uniform(rng, -0.2, 0.25))
    picture = scenes.tinted(rng, sources.textures[name], height, width,
                            TINTS[name], WINDOWS[name])
    scenes.paint(scene.image, np.clip(distance + 0.5, 0, 1), picture)
    label[distance > 0] = 1 + STUFF.index(name)
    label[np.abs(distance) < 1] = 0


def _add_card(rng, scene, label, size):
    """A plain card, which is none of the classes."""
    height = int(size * scenes.uniform(rng, 0.12, 0.2))
    width = int(size * scenes.uniform(rng, 0.12, 0.25))
    top, left = scenes.place(rng, scene.shape, (height, width), [])
    window = (slice(top, top + height), slice(left, left + width))
    scene.image[window] = scenes.bright_colour(rng) * 0.5
    label[window] = 0


def _grow(mask):
    """A mask and its 4-neighbours."""
    out = mask.copy()
    out[1:] |= mask[:-1]
    out[:-1] |= mask[1:]
    out[:, 1:] |= mask[:, :-1]
    out[:, :-1] |= mask[:, 1:]
    return out
