"""Cityscapes' folder structure: streets of real textures.

``leftImg8bit/<split>/<city>/<city>_<seq>_<frame>_leftImg8bit.png`` and, in
``gtFine``, ``_polygons.json`` with the label maps ``_labelIds`` and
``_labelTrainIds``, drawn from the polygons alone, in their order.
"""
import json

import numpy as np
from PIL import Image, ImageDraw

from hpvit_mm.datasets.rules.cityscapes import Thing, draw

from . import scenes
from .sources import SPLITS

# The classes that these streets show; the other eleven of the nineteen are
# absent, and mmseg's mIoU omits absent classes.
CLASSES = ('road', 'sidewalk', 'building', 'pole', 'traffic sign',
           'vegetation', 'sky', 'car')
CITIES = dict(
    train=('aachen', 'bochum', 'bremen', 'cologne', 'darmstadt',
           'dusseldorf', 'erfurt', 'hamburg'),
    val=('frankfurt', 'lindau', 'munster'))
COUNTS = dict(default=dict(train=300, val=60), tiny=dict(train=20, val=12))
_SET = 4


def write(root, sources, split, count, size):
    """Write one split; see :func:`imagenet.write`.

    The images are 2:1, three quarters of ``size`` high.
    """
    cities = CITIES[split]
    for index in range(count):
        rng = scenes.make_rng(_SET, SPLITS.index(split), index)
        scene, things = _compose(rng, sources, 3 * size // 4, 3 * size // 2)
        # Whole cities one after the other, as the original counts frames.
        city = cities[index * len(cities) // count]
        name = f'{city}/{city}_{index:06d}_000019'
        image = root / 'leftImg8bit' / split / f'{name}_leftImg8bit.png'
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scenes.to_bytes(scene.image)).save(image)
        truth = root / 'gtFine' / split / name
        truth.parent.mkdir(parents=True, exist_ok=True)
        height, width = scene.shape
        with open(f'{truth}_gtFine_polygons.json', 'w') as f:
            json.dump(
                dict(imgHeight=height, imgWidth=width,
                     objects=[
                         dict(label=thing.label,
                              polygon=thing.points)
                         for thing in things
                     ]), f)
        for kind in ('labelIds', 'labelTrainIds'):
            draw(things, height, width,
                 kind).save(f'{truth}_gtFine_{kind}.png')
        yield (f'leftImg8bit/{split}/{name}_leftImg8bit.png', scene.used)


# ---------------------------------------------------------------- streets
class _Street:
    """Draws things into an image and lists their polygons."""

    def __init__(self, rng, sources, height, width):
        self.rng, self.sources = rng, sources
        self.height, self.width = height, width
        self.scene = scenes.Scene(np.zeros((height, width, 3), np.float32))
        self.things = []

    def uniform(self, low, high):
        return scenes.uniform(self.rng, low, high)

    def add(self, label, points, filling):
        """Paint a polygon; ``filling`` is a colour or an image (H, W, 3).

        Points are clipped to the image. With ``label=None`` the polygon is
        only painted, as part of what it lies on.
        """
        limits = (self.width - 1, self.height - 1)
        points = np.clip(np.rint(points), 0, limits).astype(int)
        if label is not None:
            self.things.append(Thing(label, points.tolist()))
        (left, top), (right, bottom) = points.min(0), points.max(0) + 1
        # Four times as large and averaged: smooth edges. A vertex is the
        # centre of a pixel here, as it is where label maps are drawn.
        big = Image.new('L', (4 * int(right - left), 4 * int(bottom - top)))
        ImageDraw.Draw(big).polygon(
            [(4 * (x - left) + 1.5, 4 * (y - top) + 1.5) for x, y in points],
            fill=255, outline=255, width=3)
        cover = np.asarray(big.reduce(4), np.float32) / 255
        filling = np.asarray(filling, np.float32)
        if filling.ndim == 3:
            filling = filling[top:bottom, left:right]
        scenes.paint(self.scene.image[top:bottom, left:right], cover, filling)

    def texture(self, name, colour, window):
        return scenes.tinted(self.rng, self.sources.textures[name],
                             self.height, self.width, colour, window)

    def photo(self, photos):
        name = scenes.pick(self.rng, photos)
        self.scene.used['photos'].append(name)
        return scenes.crop(self.rng, photos[name], self.height, self.width)

    def digit(self, x, y, size, colour):
        """Draw a random digit around a point, as part of what is there."""
        number = int(scenes.pick(self.rng, self.sources.digits))
        cover, _ = scenes.render_digit(self.sources.digits[number], size)
        top = max(int(y - cover.shape[0] / 2), 0)
        left = max(int(x - cover.shape[1] / 2), 0)
        part = self.scene.image[top:top + cover.shape[0],
                                left:left + cover.shape[1]]
        scenes.paint(part, cover[:part.shape[0], :part.shape[1]],
                     np.array(colour, np.float32))
        self.scene.used['digits'].append(number)


def _box(left, top, right, bottom):
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _circle(x, y, radius, corners=12, turn=0.0, ratio=1.0):
    angles = (np.arange(corners) + turn) * (2 * np.pi / corners)
    return np.stack([x + radius * np.cos(angles),
                     y + ratio * radius * np.sin(angles)], 1)


def _compose(rng, sources, height, width):
    """A street from back to front; the scene and its polygons."""
    street = _Street(rng, sources, height, width)
    uniform, horizon = street.uniform, int(height * street.uniform(0.5, 0.58))
    # There are three real skies, from white to dusk, and a split has one or
    # two of them. Their clouds and gradients stay, but their mean colour is
    # random, or the weather would tell the splits apart.
    sky = street.photo(sources.skies)
    colour = np.array((150, 178, 212), np.float32) * uniform(0.75, 1.1)
    colour += uniform(0, 0.8) * (colour.mean() - colour)
    street.add('sky', _box(0, 0, width - 1, horizon),
               np.clip(sky - sky.mean((0, 1)) + colour, 0, 255))
    _add_buildings(street, horizon)
    _add_ground(street, horizon)
    for _ in range(int(rng.integers(0, 3))):  # trees, at both sides
        x = width * scenes.pick(rng, (uniform(0.04, 0.3), uniform(0.7, 0.96)))
        radius = height * uniform(0.14, 0.22)
        y = horizon - radius * uniform(0.3, 0.9)
        street.add('vegetation', _box(x - 0.12 * radius, y, x + 0.12 * radius,
                                      horizon + radius * 0.35), (72, 54, 40))
        street.add('vegetation', _circle(x, y, radius, 14),
                   street.texture('grass', (62, 112, 44), 420))
    if rng.random() < 0.2:  # parked too densely to be told apart
        x, y = width * uniform(0.38, 0.5), horizon + 2
        street.add('cargroup', _box(x, y - 0.05 * height, x + 0.135 * width,
                                    y + 0.04 * height), (70, 70, 84))
    depths = sorted(rng.random(int(rng.integers(1, 4))).tolist())
    for side, depth in zip(rng.permutation(3), depths):
        _add_car(street, width * (0.2 + 0.3 * side + uniform(-0.04, 0.04)),
                 horizon + (height - horizon) * (0.3 + 0.5 * depth),
                 width * (0.19 + 0.1 * depth))
    for side in rng.permutation(2)[:int(rng.integers(1, 3))]:
        _add_sign(street, width * (0.1 + 0.72 * side + 0.08 * rng.random()),
                  horizon)
    # The bonnet of the own car, and the borders without an image.
    street.add('ego vehicle', [
        (width * (0.1 + 0.8 * i / 12),
         height * (1 - 0.07 * np.sin(np.pi * i / 12))) for i in range(13)],
        (24, 26, 32))
    rim = max(1, height // 96)
    street.add('rectification border', _box(0, 0, rim - 1, height), (0, 0, 0))
    street.add('out of roi', _box(0, height - rim, width, height), (0, 0, 0))
    return street.scene, street.things


def _add_buildings(street, horizon):
    """Brick houses; their windows mirror a photograph."""
    uniform, height, width = street.uniform, street.height, street.width
    left, step = -width * uniform(0, 0.15), max(8, height // 6)
    mirrored = street.photo(street.sources.photos) * 0.5
    while left < width:
        right = left + width * uniform(0.16, 0.34)
        if street.rng.random() < 0.8 and right > 0:
            top = int(height * uniform(0.06, 0.32))
            tint = scenes.pick(street.rng, (
                (150, 84, 66), (168, 132, 96), (132, 92, 84), (120, 104, 96)))
            street.add('building', _box(left, top, right - 1, horizon + 2),
                       street.texture('brick', tint, 330))
            for y in range(top + step // 3, horizon - step, step):
                for x in range(max(int(left), 0) + step // 2,
                               min(int(right), width) - step // 2, step):
                    street.add(None, _box(x, y, x + step // 2 - 1,
                                          y + step // 2), mirrored)
        left = right + width * uniform(0, 0.05)


def _add_ground(street, horizon):
    uniform, height, width = street.uniform, street.height, street.width
    street.add('sidewalk', _box(0, horizon, width, height),
               street.texture('brick', (176, 170, 162), 480))
    middle = width * uniform(0.42, 0.58)
    far, near = width * uniform(0.12, 0.2), width * uniform(0.42, 0.5)
    kerb = max(2, width // 96)
    for label, extra, filling in (
            ('ground', kerb, (205, 205, 200)),
            ('road', 0, street.texture('gravel', (88, 88, 94), 480))):
        street.add(label, [(middle - far - extra, horizon),
                           (middle + far + extra, horizon),
                           (middle + near + extra, height),
                           (middle - near - extra, height)], filling)
    for i in range(4):  # the dashes are part of the road
        y = horizon + (height - horizon) * (0.12 + 0.24 * i)
        half = 0.5 + width * 0.006 * (0.12 + 0.24 * i)
        street.add(None, _box(middle - half, y, middle + half,
                              y + (height - horizon) * 0.12), (215, 215, 205))


def _add_car(street, x, y, length):
    """A car with a number on its door; its wheels stand at row ``y``."""
    tall, flip = length * 0.42, street.rng.choice((-1, 1))

    def at(points):
        return [(x + flip * length * (u - 0.5), y - tall * v)
                for u, v in points]

    photo = street.photo(street.sources.photos)  # mirrored by the paint
    paint = scenes.bright_colour(street.rng) * street.uniform(0.7, 0.95)
    street.add('car', at([
        (0, 0.12), (0, 0.45), (0.2, 0.6), (0.32, 1), (0.72, 1), (0.86, 0.6),
        (0.97, 0.52), (1, 0.12), (0.9, 0.12), (0.86, 0), (0.74, 0),
        (0.7, 0.12), (0.32, 0.12), (0.28, 0), (0.16, 0), (0.12, 0.12)]),
        0.8 * paint + 0.2 * photo)
    for window in ([(0.26, 0.62), (0.35, 0.92), (0.5, 0.92), (0.5, 0.62)],
                   [(0.54, 0.62), (0.54, 0.92), (0.69, 0.92), (0.79, 0.62)]):
        street.add(None, at(window), 0.55 * photo + 20)
    for u in (0.22, 0.8):
        street.add(None, at(_circle(u, 0.13, 0.075, ratio=1.7)), (28, 28, 30))
    street.add('license plate', at(_box(0, 0.2, 0.05, 0.3)), (235, 235, 220))
    street.digit(*at([(0.52, 0.36)])[0], tall * 0.5, (25, 25, 30))


def _add_sign(street, x, horizon):
    uniform, rng, height = street.uniform, street.rng, street.height
    foot = horizon + (height - horizon) * uniform(0.2, 0.6)
    radius, y = height * uniform(0.13, 0.17), height * uniform(0.2, 0.3)
    half = max(1.6, height / 44)
    street.add('pole', _box(x - half, y, x + half, foot), (64, 66, 72))
    corners, turn = scenes.pick(rng, ((4, 0.5), (4, 0), (16, 0.5), (8, 0.5)))
    reach = radius * (1.2 if corners == 4 else 1.05)
    rim, face, ink = scenes.pick(rng, (
        ((20, 20, 20), (250, 210, 40), (20, 20, 20)),
        ((215, 30, 35), (245, 245, 245), (20, 20, 30)),
        ((250, 250, 250), (30, 80, 200), (250, 250, 250))))
    street.add('traffic sign', _circle(x, y, reach, corners, turn), rim)
    street.add(None, _circle(x, y, 0.86 * reach, corners, turn), face)
    street.digit(x, y, radius * 1.15, ink)
