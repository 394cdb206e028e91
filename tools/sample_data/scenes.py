"""Composition of scenes with exact masks.

Images are float32 arrays (H, W, 3) in 0..255, coverages are float32 arrays
(H, W) in 0..1. Random numbers come from the generator that is passed in, one
per image, so that neither order nor global state can change an image.
"""
import colorsys
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

# Darkest ink that belongs to a digit; thin strokes may break there.
INK_THRESHOLD = 0.42
# Pillow averages blocks of pixels before it interpolates to less than half:
# three times as fast, and most of a build is scaling.
REDUCING_GAP = 2.0


def used():
    """The record of the digits and photographs in an image."""
    return dict(digits=[], photos=[])


@dataclass
class Glyph:
    """A digit in a scene: its class and its visible part (H, W), 0..1."""
    label: int
    cover: np.ndarray

    @property
    def mask(self):
        return self.cover > 0.5


@dataclass
class Scene:
    """An image (H, W, 3), 0..255, and the record of what was used."""
    image: np.ndarray
    used: dict = field(default_factory=used)

    @property
    def shape(self):
        return self.image.shape[:2]


def make_rng(*key):
    """A generator for one image, from set, split and number."""
    return np.random.default_rng((0, *key))


def uniform(rng, low, high):
    return float(low + (high - low) * rng.random())


def pick(rng, items):
    items = list(items)
    return items[int(rng.integers(len(items)))]


def to_bytes(image):
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def save_jpeg(image, path, index):
    """Save an image; every 25th of a split is greyscale."""
    image = Image.fromarray(to_bytes(image))
    if index % 25 == 2:
        image = image.convert('L')
    image.save(path, 'JPEG', quality=92, subsampling=0)


def class_in_turn(index):
    """Class of the first digit of a scene, so that all are equally frequent.

    Not in step with the odd cases, which come every ten or twenty scenes.
    """
    return (7 * index + index // 10) % 10


def random_shape(rng, side, low, high):
    """A square, or one side multiplied by a random factor; (h, w)."""
    if rng.random() >= 0.5:
        return side, side
    other = int(side * uniform(rng, low, high))
    # A factor below 1 shortens the first side, one above 1 the second.
    return ((min(side, other), max(side, other)) if rng.random() < 0.5 else
            (max(side, other), min(side, other)))


# ----------------------------------------------------------------- images
def crop(rng, image, height, width, smallest=0.5):
    """A random part of an image, randomly flipped.

    Args:
        image (Image): Mode RGB.
        height, width (int): Size of the result, pixels.
        smallest (float): Smallest part, relative to the largest that fits.
    """
    largest = min(image.width / width, image.height / height)
    scale = largest * uniform(rng, smallest, 1)
    left = uniform(rng, 0, image.width - scale * width)
    top = uniform(rng, 0, image.height - scale * height)
    box = (left, top, min(left + scale * width, image.width),
           min(top + scale * height, image.height))
    out = np.asarray(
        image.resize((width, height), Image.BICUBIC, box, REDUCING_GAP),
        np.float32)
    return out[:, ::-1] if rng.random() < 0.5 else out


def dark_photo(rng, sources, height, width, used):
    """A photograph as a background: darkened, so that digits stand out."""
    name = pick(rng, sources.photos)
    used['photos'].append(name)
    photo = crop(rng, sources.photos[name], height, width)
    return photo * np.float32(uniform(rng, 0.35, 0.55))


def tinted(rng, texture, height, width, colour, window):
    """A part of a texture in a colour; the textures themselves are grey.

    Args:
        texture (Image): Mode RGB, continued by mirror images of itself.
        colour (tuple): RGB of the mean, 0..255; varied by a tenth.
        window (int): Pixels of the texture along the shorter side; varied by
            a quarter.
    """
    grey = np.asarray(texture)[..., 0]
    zoom = window * uniform(rng, 0.8, 1.25) / min(height, width)
    index = []
    for n, length in zip(grey.shape, (height, width)):
        start = int(rng.integers(2 * n))
        line = np.arange(start, start + max(1, round(zoom * length))) % (2 * n)
        index.append(np.where(line < n, line, 2 * n - 1 - line))
    part = Image.fromarray(np.ascontiguousarray(grey[index[0]][:, index[1]]))
    part = np.asarray(
        part.resize((width, height), Image.BICUBIC, None, REDUCING_GAP),
        np.float32)
    part = part[..., None] / max(float(part.mean()), 1)
    shade = np.array(colour, np.float32) * np.float32(uniform(rng, 0.9, 1.1))
    return np.clip(part * shade, 0, 255)


def bright_colour(rng):
    """An RGB colour that is bright whatever its hue, 0..255."""
    while True:
        rgb = np.array(
            colorsys.hsv_to_rgb(rng.random(), uniform(rng, 0, 0.75), 1.0))
        if rgb @ (0.299, 0.587, 0.114) > 0.68:
            return (255 * rgb).astype(np.float32)


# ----------------------------------------------------------------- digits
def render_digit(digit, size, angle=0.0):
    """Draw a digit smoothly at any size.

    Args:
        digit (ndarray): (8, 8), 0..1.
        size (float): Side of its 8x8 cell, pixels.
        angle (float): Rotation, degrees.

    Returns:
        tuple[ndarray, ndarray]: Coverage and ink, both (h, w), 0..1, trimmed
        to what is covered.
    """
    # A margin of two cells: the outline is closed, and rotation cuts nothing.
    source = Image.fromarray(np.pad(digit, 2))
    side = int(np.ceil(size * 12 / 8))
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    step = 8 / size
    # Pillow asks where in the source a target's pixel comes from.
    offset = (6 - step * (cos + sin) * side / 2,
              6 - step * (cos - sin) * side / 2)
    ink = np.asarray(
        source.transform((side, side), Image.AFFINE,
                         (step * cos, step * sin, offset[0], -step * sin,
                          step * cos, offset[1]), Image.BICUBIC))
    # Ink rises from 0 to 1 over about a cell, so this edge is a pixel wide.
    cover = np.clip((ink - INK_THRESHOLD) * (size / 8) + 0.5, 0, 1)
    rows = np.flatnonzero((cover > 0.5).any(1))
    cols = np.flatnonzero((cover > 0.5).any(0))
    window = (slice(max(rows[0] - 1, 0), rows[-1] + 2),
              slice(max(cols[0] - 1, 0), cols[-1] + 2))
    return cover[window], np.clip(ink[window], 0, 1)


def paint(image, cover, colour):
    """Lay a colour or an image over an image, in place."""
    image += cover[..., None] * (colour - image)


def place(rng, shape, size, taken, gap=3, tries=60):
    """Find room for a rectangle that touches no other.

    Args:
        shape, size (tuple): Height and width of the image and the rectangle.
        taken (list): Rectangles (top, left, bottom, right); gets the new one.
        gap (int): Least distance between two, pixels.

    Returns:
        tuple[int, int] | None: Top and left, or None when it does not fit.
    """
    if size[0] > shape[0] or size[1] > shape[1]:
        return None
    for _ in range(tries):
        top = int(rng.integers(shape[0] - size[0] + 1))
        left = int(rng.integers(shape[1] - size[1] + 1))
        bottom, right = top + size[0], left + size[1]
        if all(top >= b + gap or bottom + gap <= t or left >= r + gap
               or right + gap <= l for t, l, b, r in taken):
            taken.append((top, left, bottom, right))
            return top, left
    return None


def add_digit(rng, scene, sources, size, taken, label=None, gap=3):
    """Draw a random digit into a scene where there is room.

    Args:
        size (float): Side of the digit's cell, pixels.
        taken (list): See :func:`place`, as for ``gap``.
        label (int | None): The class; random when None.

    Returns:
        Glyph | None: The digit.
    """
    label = int(rng.integers(10)) if label is None else label
    number = int(pick(rng, sources.by_class[label]))
    cover, ink = render_digit(sources.digits[number], size,
                              uniform(rng, -8, 8))
    colour = bright_colour(rng)
    spot = place(rng, scene.shape, cover.shape, taken, gap)
    if spot is None:
        return None
    rows = slice(spot[0], spot[0] + cover.shape[0])
    cols = slice(spot[1], spot[1] + cover.shape[1])
    # The pen's pressure stays visible as shading.
    shade = (0.78 + 0.22 * ink)[..., None] * colour
    paint(scene.image[rows, cols], cover, shade)
    whole = np.zeros(scene.shape, np.float32)
    whole[rows, cols] = cover
    scene.used['digits'].append(number)
    return Glyph(label, whole)


def add_bar(rng, scene, sources, glyphs):
    """Lay a bar across the first digit, which may hide others as well."""
    rows, cols = np.nonzero(glyphs[0].mask)
    extent = max(np.ptp(rows), np.ptp(cols)) + 1
    centre = ((rows.min() + rows.max()) / 2, (cols.min() + cols.max()) / 2)
    angle = np.radians(uniform(rng, -35, 35))
    rows, cols = np.mgrid[:scene.shape[0], :scene.shape[1]].astype(np.float32)
    distance = np.abs((rows - centre[0]) * np.cos(angle) -
                      (cols - centre[1]) * np.sin(angle))
    cover = np.clip(max(3.0, 0.09 * extent) / 2 - distance + 0.5, 0,
                    1).astype(np.float32)
    paint(scene.image, cover,
          0.8 * dark_photo(rng, sources, *scene.shape, scene.used))
    for glyph in glyphs:
        glyph.cover = glyph.cover * (1 - cover)


# --------------------------------------------------------------- outlines
def trace(cover, tolerance=0.25):
    """Outline a coverage with polygons.

    COCO's polygons have no holes, so each hole is joined to its outline by a
    cut of width zero, which every even-odd rasteriser cancels.

    Args:
        cover (ndarray): (H, W), 0..1; the outline runs where it is 0.5.
        tolerance (float): Largest deviation by omitted points, pixels.

    Returns:
        list[ndarray]: (n, 2) x and y in pixels, n >= 3; (0, 0) is the corner
        of the image, and a pixel's centre is at (0.5, 0.5).
    """
    from skimage.measure import approximate_polygon, find_contours

    # A frame of zeros closes outlines that run along the image's border.
    outer, holes = [], []
    for line in find_contours(np.pad(cover, 1), 0.5):
        line = approximate_polygon(line, tolerance)[:-1, ::-1] - 0.5
        if len(line) >= 3 and abs(area := _signed_area(line)) >= 1:
            # find_contours runs the other way around holes
            (outer if area > 0 else holes).append(line)
    outer.sort(key=_signed_area, reverse=True)
    for hole in holes:
        around = [i for i, line in enumerate(outer)
                  if _is_inside(hole[0], line)]
        if around:  # the smallest outline around it is the last
            outer[around[-1]] = _join(outer[around[-1]], hole)
    height, width = cover.shape
    return [np.clip(line, 0, (width, height)) for line in outer]


def _signed_area(line):
    x, y = line.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2


def _is_inside(point, outline):
    x, y = point
    x0, y0 = outline.T
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    crosses = (y0 > y) != (y1 > y)
    at = x0 + (y - y0) / np.where(crosses, y1 - y0, 1) * (x1 - x0)
    return np.count_nonzero(crosses & (at > x)) % 2


def _join(outline, hole):
    """Cut from the nearest point of an outline to a hole, and back."""
    # (n, 1, 2) - (1, m, 2) -> (n, m)
    gaps = ((outline[:, None] - hole[None])**2).sum(-1)
    i, j = np.unravel_index(int(gaps.argmin()), gaps.shape)
    around = np.roll(hole, -j, axis=0)
    return np.concatenate([
        outline[:i + 1], around, around[:1], outline[i:]
    ])
