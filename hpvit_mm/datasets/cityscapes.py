"""Cityscapes' folder structure: streets of real textures.

``leftImg8bit/<split>/<city>/<city>_<seq>_<frame>_leftImg8bit.png`` and, in
``gtFine``, ``_polygons.json`` with the label maps ``_labelIds`` and
``_labelTrainIds``, drawn from the polygons alone, in their order.
"""
import json
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from . import scenes
from .sources import SPLITS

# Name, id and trainId: the original's table.
LABELS = (
    ('unlabeled', 0, 255), ('ego vehicle', 1, 255),
    ('rectification border', 2, 255), ('out of roi', 3, 255),
    ('static', 4, 255), ('dynamic', 5, 255), ('ground', 6, 255),
    ('road', 7, 0), ('sidewalk', 8, 1), ('parking', 9, 255),
    ('rail track', 10, 255), ('building', 11, 2), ('wall', 12, 3),
    ('fence', 13, 4), ('guard rail', 14, 255), ('bridge', 15, 255),
    ('tunnel', 16, 255), ('pole', 17, 5), ('polegroup', 18, 255),
    ('traffic light', 19, 6), ('traffic sign', 20, 7), ('vegetation', 21, 8),
    ('terrain', 22, 9), ('sky', 23, 10), ('person', 24, 11),
    ('rider', 25, 12), ('car', 26, 13), ('truck', 27, 14), ('bus', 28, 15),
    ('caravan', 29, 255), ('trailer', 30, 255), ('train', 31, 16),
    ('motorcycle', 32, 17), ('bicycle', 33, 18), ('license plate', -1, -1))
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


@dataclass
class Thing:
    """A polygon with a label; points are whole pixels, x and y."""
    label: str
    points: list


def write(root, sources, split, count, size, seed):
    """Write one split; see :func:`hpvit_mm.datasets.imagenet.write`.

    The pictures are 2:1, three quarters of ``size`` high.
    """
    cities = CITIES[split]
    for index in range(count):
        rng = scenes.make_rng(seed, _SET, SPLITS.index(split), index)
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
                              polygon=[list(p) for p in thing.points])
                         for thing in things
                     ]), f)
        for kind in ('labelIds', 'labelTrainIds'):
            draw(things, height, width,
                 kind).save(f'{truth}_gtFine_{kind}.png')
        yield (f'leftImg8bit/{split}/{name}_leftImg8bit.png', scene.used)


def draw(things, height, width, kind):
    """Draw a label map from polygons, later ones over earlier ones.

    Args:
        things (list[Thing]): The polygons.
        kind (str): 'labelIds' or 'labelTrainIds'.

    Returns:
        Image: Mode L.
    """
    column = dict(labelIds=1, labelTrainIds=2)[kind]
    table = {row[0]: row for row in LABELS}
    image = Image.new('L', (width, height), table['unlabeled'][column])
    pen = ImageDraw.Draw(image)
    for thing in things:
        row = table.get(thing.label) or table[
            thing.label.removesuffix('group')]
        if row[1] >= 0:  # a licence plate belongs to its car
            pen.polygon([tuple(p) for p in thing.points], fill=row[column])
    return image


# ---------------------------------------------------------------- streets
class _Street:
    """Draws things into an image and lists their polygons."""

    def __init__(self, rng, sources, height, width):
        self.rng, self.sources = rng, sources
        self.height, self.width = height, width
        self.scene = scenes.Scene(np.zeros((height, width, 3), np.float32))
        self.things = []

    def add(self, label, points, filling):
        """Paint a polygon; ``filling`` is a colour or an image (H, W, 3).

        With ``label=None`` it is only painted, as part of what it lies on.
        """
        points = [(int(round(x)), int(round(y))) for x, y in points]
        self.paint(points, filling)
        if label is not None:
            self.things.append(Thing(label, points))

    def paint(self, points, filling):
        x, y = np.array(points).T
        left, top = max(int(x.min()) - 1, 0), max(int(y.min()) - 1, 0)
        right = min(int(x.max()) + 2, self.width)
        bottom = min(int(y.max()) + 2, self.height)
        if right <= left or bottom <= top:
            return
        # Four times as large and averaged: smooth edges. A vertex is the
        # centre of a pixel here, as it is where label maps are drawn.
        big = Image.new('L', (4 * (right - left), 4 * (bottom - top)))
        ImageDraw.Draw(big).polygon(
            [(4 * (a - left) + 1.5, 4 * (b - top) + 1.5)
             for a, b in points], fill=255, outline=255, width=3)
        cover = np.asarray(big.reduce(4), np.float32) / 255
        filling = np.asarray(filling, np.float32)
        if filling.ndim == 3:
            filling = filling[top:bottom, left:right]
        scenes.paint(self.scene.image[top:bottom, left:right], cover, filling)

    def texture(self, name, colour, window):
        return scenes.tinted(self.rng, self.sources.textures[name],
                             self.height, self.width, colour, window)

    def photo(self):
        name = scenes.pick(self.rng, self.sources.photos)
        self.scene.used['photos'].append(name)
        return scenes.crop(self.rng, self.sources.photos[name], self.height,
                           self.width)

    def digit(self, x, y, size, colour):
        """Draw a random digit around a point, as part of what is there."""
        number = int(scenes.pick(self.rng, list(self.sources.digits)))
        cover, _ = scenes.render_digit(self.sources.digits[number], size)
        top, left = int(y - cover.shape[0] / 2), int(x - cover.shape[1] / 2)
        rows = slice(max(top, 0), max(top, 0) + cover.shape[0])
        cols = slice(max(left, 0), max(left, 0) + cover.shape[1])
        part = self.scene.image[rows, cols]
        scenes.paint(part, cover[:part.shape[0], :part.shape[1]],
                     np.array(colour, np.float32))
        self.scene.used['digits'].append(number)


def _box(left, top, right, bottom):
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _compose(rng, sources, height, width):
    """A street from back to front; the scene and its polygons."""
    street = _Street(rng, sources, height, width)
    horizon = int(height * scenes.uniform(rng, 0.5, 0.58))
    _add_sky(street, horizon)
    _add_buildings(street, horizon)
    _add_ground(street, horizon)
    for _ in range(int(rng.integers(0, 3))):
        _add_tree(street, horizon)
    _add_cars(street, horizon)
    _add_signs(street, horizon)
    _add_borders(street)
    return street.scene, street.things


def _add_sky(street, horizon):
    rng = street.rng
    name = scenes.pick(rng, street.sources.skies)
    street.scene.used['photos'].append(name)
    sky = scenes.crop(rng, street.sources.skies[name], street.height,
                      street.width)
    # There are three real skies, from white to dusk, and a split has one or
    # two of them. Their clouds and gradients stay, but their mean colour is
    # drawn at random, or the weather would tell the splits apart.
    colour = np.array((150, 178, 212), np.float32)
    colour *= np.float32(scenes.uniform(rng, 0.75, 1.1))
    grey = np.float32(scenes.uniform(rng, 0, 0.8))
    colour += grey * (colour.mean() - colour)
    sky = np.clip(sky - sky.mean((0, 1)) + colour, 0, 255)
    street.add('sky', _box(0, 0, street.width - 1, horizon), sky)


def _add_buildings(street, horizon):
    rng, height, width = street.rng, street.height, street.width
    left = int(-width * scenes.uniform(rng, 0, 0.15))
    tints = ((150, 84, 66), (168, 132, 96), (132, 92, 84), (120, 104, 96))
    while left < width:
        right = left + int(width * scenes.uniform(rng, 0.16, 0.34))
        if rng.random() < 0.8:
            top = int(height * scenes.uniform(rng, 0.06, 0.32))
            street.add(
                'building', _box(max(left, 0), top, min(right, width) - 1,
                                 horizon + 2),
                street.texture('brick', scenes.pick(rng, tints), 330))
            _add_windows(street, left, top, right, horizon)
        left = right + int(width * scenes.uniform(rng, 0, 0.05))


def _add_windows(street, left, top, right, bottom):
    """Windows mirror photographs; they are part of the building."""
    step = max(8, street.height // 6)
    mirrored = street.photo() * 0.5
    for y in range(top + step // 3, bottom - step, step):
        for x in range(left + step // 2, right - step // 2, step):
            street.add(None, _box(x, y, x + step // 2 - 1, y + step // 2),
                       mirrored)


def _add_ground(street, horizon):
    rng, height, width = street.rng, street.height, street.width
    street.add('sidewalk', _box(0, horizon, width - 1, height - 1),
               street.texture('brick', (176, 170, 162), 480))
    middle = width * scenes.uniform(rng, 0.42, 0.58)
    far = width * scenes.uniform(rng, 0.12, 0.2)
    near = width * scenes.uniform(rng, 0.42, 0.5)
    kerb = max(2, width // 96)
    for label, extra, filling in (
            ('ground', kerb, (205, 205, 200)),
            ('road', 0, street.texture('gravel', (88, 88, 94), 480))):
        street.add(label,
                   [(max(middle - far - extra, 0), horizon),
                    (min(middle + far + extra, width - 1), horizon),
                    (min(middle + near + extra, width - 1), height - 1),
                    (max(middle - near - extra, 0), height - 1)], filling)
    # Dashes along the middle are part of the road.
    for i in range(4):
        y0 = horizon + (height - horizon) * (0.12 + 0.24 * i)
        y1 = y0 + (height - horizon) * 0.12
        half = 0.5 + width * 0.006 * (y0 - horizon) / (height - horizon)
        street.add(None, [(middle - half, y0), (middle + half, y0),
                          (middle + 1.3 * half, y1),
                          (middle - 1.3 * half, y1)], (215, 215, 205))


def _add_tree(street, horizon):
    rng, height, width = street.rng, street.height, street.width
    x = width * (scenes.uniform(rng, 0.04, 0.3) if rng.random() < 0.5 else
                 scenes.uniform(rng, 0.7, 0.96))
    radius = height * scenes.uniform(rng, 0.14, 0.22)
    y = horizon - radius * scenes.uniform(rng, 0.3, 0.9)
    trunk = max(1.5, radius * 0.12)
    street.add('vegetation',
               _box(x - trunk, y, x + trunk, horizon + radius * 0.35),
               (72, 54, 40))
    angles = np.arange(14) * (2 * np.pi / 14)
    radii = radius * (0.86 + 0.28 * rng.random(14))
    crown = [(min(max(x + r * np.cos(a), 0), width - 1),
              max(y + r * np.sin(a), 0)) for r, a in zip(radii, angles)]
    street.add('vegetation', crown,
               street.texture('grass', (62, 112, 44), 420))


def _add_cars(street, horizon):
    """Cars with a number on the door, drawn from far to near."""
    rng, height, width = street.rng, street.height, street.width
    if rng.random() < 0.2:
        # Parked far away and too dense to be told apart.
        y = horizon + 2
        x = width * scenes.uniform(rng, 0.38, 0.5)
        step = width * 0.045
        points = _box(x, y - 0.05 * height, x + 3 * step, y + 0.04 * height)
        street.add('cargroup', points, (70, 70, 84))
        for i in range(3):
            street.add(None, _box(x + i * step + 1, y - 0.03 * height,
                                  x + (i + 1) * step - 1, y + 0.02 * height),
                       scenes.bright_colour(rng) * 0.8)
    depths = sorted(rng.random(int(rng.integers(1, 4))).tolist())
    sides = rng.permutation(3)
    for side, depth in zip(sides, depths):
        length = width * (0.19 + 0.1 * depth)
        tall = length * 0.42
        x = width * (0.2 + 0.3 * side) + width * scenes.uniform(
            rng, -0.04, 0.04) - length / 2
        y = horizon + (height - horizon) * (0.3 + 0.5 * depth)
        _add_car(street, x, y, length, tall, rng.random() < 0.5)


def _add_car(street, x, y, length, tall, flip):
    """A car whose wheels stand at row ``y``."""

    def at(points):
        return [(min(max(x + length * ((1 - u) if flip else u), 0),
                     street.width - 1), min(y - tall * v, street.height - 1))
                for u, v in points]

    rng = street.rng
    paint = scenes.bright_colour(rng) * np.array(
        scenes.uniform(rng, 0.7, 0.95), np.float32)
    outline = at([(0, 0.12), (0, 0.45), (0.05, 0.55), (0.2, 0.6), (0.32, 1),
                  (0.72, 1), (0.86, 0.6), (0.97, 0.52), (1, 0.4), (1, 0.12),
                  (0.9, 0.12), (0.86, 0), (0.74, 0), (0.7, 0.12),
                  (0.32, 0.12), (0.28, 0), (0.16, 0), (0.12, 0.12)])
    # Real reflections on the paint.
    street.add('car', outline, 0.8 * paint + 0.2 * street.photo())
    mirrored = 0.55 * street.photo() + 20
    for points in ([(0.26, 0.62), (0.35, 0.92), (0.5, 0.92), (0.5, 0.62)],
                   [(0.54, 0.62), (0.54, 0.92), (0.69, 0.92), (0.79, 0.62)]):
        street.add(None, at(points), mirrored)
    for u in (0.22, 0.8):
        angles = np.arange(12) * (2 * np.pi / 12)
        wheel = [(u + 0.075 * np.cos(a), 0.13 + 0.075 / 0.42 * np.sin(a) *
                  0.7) for a in angles]
        street.add(None, at(wheel), (28, 28, 30))
    plate = at([(0, 0.2), (0, 0.3), (0.05, 0.3), (0.05, 0.2)])
    street.add('license plate', plate, (235, 235, 220))
    street.digit(*at([(0.52, 0.36)])[0], tall * 0.5, (25, 25, 30))


def _add_signs(street, horizon):
    rng, height, width = street.rng, street.height, street.width
    for side in rng.permutation(2)[:int(rng.integers(1, 3))]:
        x = width * (0.1 + 0.72 * side + 0.08 * rng.random())
        foot = horizon + (height - horizon) * scenes.uniform(rng, 0.2, 0.6)
        radius = height * scenes.uniform(rng, 0.13, 0.17)
        y = height * scenes.uniform(rng, 0.2, 0.3)
        half = max(1.6, height / 44)
        street.add('pole', _box(x - half, y, x + half, foot),
                   (64, 66, 72))
        count, turn = scenes.pick(rng, ((4, 0.5), (4, 0), (16, 0.5),
                                        (8, 0.5)))
        angles = (np.arange(count) + turn) * (2 * np.pi / count)
        reach = radius * (1.2 if count == 4 else 1.05)

        def plate(scale):
            return [(x + scale * reach * np.cos(a), y + scale * reach *
                     np.sin(a)) for a in angles]

        face, ink = scenes.pick(rng, (((250, 210, 40), (20, 20, 20)),
                                      ((245, 245, 245), (20, 20, 30)),
                                      ((30, 80, 200), (250, 250, 250))))
        rim = ink if face[0] != 245 else (215, 30, 35)
        street.add('traffic sign', plate(1), rim)
        street.add(None, plate(0.86), face)
        street.digit(x, y, radius * 1.15, ink)


def _add_borders(street):
    """The bonnet of our own car, and the rims without pictures."""
    height, width = street.height, street.width
    hood = [(width * (0.1 + 0.8 * i / 12),
             height * (1 - 0.07 * np.sin(np.pi * i / 12))) for i in range(13)]
    hood = [(x, min(y, height - 1)) for x, y in hood]
    street.add('ego vehicle', hood, (24, 26, 32))
    rim = max(1, height // 96)
    street.add('rectification border',
               _box(0, 0, rim - 1, height - 1), (0, 0, 0))
    street.add('out of roi',
               _box(0, height - rim, width - 1, height - 1), (0, 0, 0))
