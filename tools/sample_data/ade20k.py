"""ADE20K's folder structure: digits, textures and photographs, labelled.

``images/{training,validation}/ADE_{train,val}_<8 digits>.jpg`` and the label
maps of the same names in ``annotations/``, where 0 is "other", which mmseg
ignores (``reduce_zero_label=True``), and k is class k - 1.
"""
import numpy as np
from PIL import Image

from . import scenes
from .sources import SPLITS

# All digits are one class: the quick start has no time to learn more.
CLASSES = ('photograph', 'brick', 'gravel', 'grass', 'digit')
COUNTS = dict(default=dict(train=600, val=80), tiny=dict(train=20, val=16))
# Mean colour of a texture, and its pixels along the shorter side of an image.
TEXTURES = dict(brick=((110, 62, 48), 300), gravel=((92, 92, 96), 330),
                grass=((58, 88, 40), 300))
_SET = 3


def write(root, sources, split, count, size):
    """Write one split; see :func:`imagenet.write`."""
    long_name = dict(train='training', val='validation')[split]
    images = root / 'images' / long_name
    labels = root / 'annotations' / long_name
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        rng = scenes.make_rng(_SET, SPLITS.index(split), index)
        scene, label = _compose(rng, sources, size,
                                scenes.class_in_turn(index))
        name = f'ADE_{split}_{index + 1:08d}'
        scenes.save_jpeg(scene.image, images / f'{name}.jpg', index)
        Image.fromarray(label).save(labels / f'{name}.png')
        yield f'images/{long_name}/{name}.jpg', scene.used


def _compose(rng, sources, size, first):
    """A scene, its first digit of a class, and its (H, W) uint8 labels."""
    height, width = scenes.random_shape(rng, size, 0.72, 0.97)
    scene = scenes.Scene(
        scenes.dark_photo(rng, sources, height, width, used := scenes.used()),
        used=used)
    label = np.full((height, width), 1, np.uint8)
    if rng.random() < 0.75:  # a texture beyond a slanted line
        name = scenes.pick(rng, sources.textures)
        angle = np.radians(scenes.uniform(rng, 0, 360))
        rows, cols = np.mgrid[:height, :width].astype(np.float32)
        distance = ((cols - width / 2) * np.cos(angle) +
                    (rows - height / 2) * np.sin(angle) -
                    min(height, width) * scenes.uniform(rng, -0.2, 0.25))
        scenes.paint(
            scene.image, np.clip(distance + 0.5, 0, 1),
            scenes.tinted(rng, sources.textures[name], height, width,
                          *TEXTURES[name]))
        label[distance > 0] = 1 + CLASSES.index(name)
        label[np.abs(distance) < 1] = 0
    if rng.random() < 0.25:  # a plain card, which is none of the classes
        tall = int(size * scenes.uniform(rng, 0.12, 0.2))
        wide = int(size * scenes.uniform(rng, 0.12, 0.25))
        top, left = scenes.place(rng, scene.shape, (tall, wide), [])
        window = (slice(top, top + tall), slice(left, left + wide))
        scene.image[window] = scenes.bright_colour(rng) * 0.5
        label[window] = 0
    taken = []
    for i in range(int(rng.integers(1, 3))):
        side = min(height, width) * scenes.uniform(rng, 0.5, 0.8)
        glyph = scenes.add_digit(rng, scene, sources, side, taken,
                                 label=None if i else first)
        if glyph is not None:
            # The rim, one pixel wider than the digit, is not labelled.
            rim = np.pad(glyph.cover > 0, 1)
            label[rim[1:-1, 1:-1] | rim[:-2, 1:-1] | rim[2:, 1:-1]
                  | rim[1:-1, :-2] | rim[1:-1, 2:]] = 0
            label[glyph.cover > 0.5] = len(CLASSES)
    return scene, label
