"""ImageNet's layout: one digit per picture.

``train/<wnid>/<wnid>_<n>.JPEG``, ``val/ILSVRC2012_val_<8 digits>.JPEG`` and
``meta/{train,val}.txt``. Like the original, it holds a few files that break
careless readers: greyscale and CMYK JPEGs, one that is stored rotated with an
EXIF tag, and one that is a PNG with transparency in spite of its name.
"""
import numpy as np
from PIL import Image

from . import scenes
from .sources import DIGIT_NAMES, SPLITS

CLASSES = DIGIT_NAMES
WNIDS = tuple(f'n1000000{i}' for i in range(10))
COUNTS = dict(default=dict(train=None, val=None), tiny=dict(train=30, val=20))
_SET = 1

# What is unusual about picture number i of a split; the rest is plain.
_ODD = {3: 'grey', 5: 'cmyk', 8: 'exif', 11: 'png'}


def kind_of(index):
    """'plain', 'grey', 'cmyk', 'exif' or 'png', by number in the split."""
    if index in _ODD:
        return _ODD[index]
    if index % 40 == 20:
        return 'grey'
    if index % 100 == 50:
        return 'cmyk'
    return 'exif' if index % 100 == 80 else 'plain'


def write(root, sources, split, count, size, seed):
    """Write one split.

    Args:
        root (Path): The folder of the data set.
        sources (Sources): The pixels of the split.
        count (int | None): Number of pictures; every digit once when None.
        size (int): Nominal side of the dense scenes; these are half of it.

    Yields:
        tuple[str, dict]: Path below ``root`` and what was used.
    """
    numbers = sorted(sources.digits)
    # Shuffled once, so that a cut-off set has all the classes.
    rng = scenes.make_rng(seed, _SET, SPLITS.index(split))
    order = rng.permutation(len(numbers))
    if count is not None:
        order = _balanced([sources.labels[numbers[i]] for i in order], order,
                          count)
    (root / 'meta').mkdir(parents=True, exist_ok=True)
    lines = []
    for index, position in enumerate(order):
        number = numbers[position]
        label = sources.labels[number]
        if split == 'train':
            name = f'{WNIDS[label]}/{WNIDS[label]}_{number}.JPEG'
        else:
            name = f'ILSVRC2012_val_{index + 1:08d}.JPEG'
        rng = scenes.make_rng(seed, _SET, SPLITS.index(split), index)
        image, used = _compose(rng, sources, number, size // 2)
        path = root / split / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(image, path, kind_of(index))
        lines.append(f'{name} {label}\n')
        yield f'{split}/{name}', used
    (root / 'meta' / f'{split}.txt').write_text(''.join(sorted(lines)))


def _balanced(labels, order, count):
    """The first ``count`` of an order with the classes taken in turn."""
    rank = np.zeros(len(order), int)
    for label in range(10):
        where = np.flatnonzero(np.array(labels) == label)
        rank[where] = np.arange(len(where))
    return order[np.lexsort((labels, rank))][:count]


def _compose(rng, sources, number, side):
    """A digit that nearly fills a photograph; (h, w, 3) and what was used."""
    # Half of the pictures are square, the rest landscape or portrait with
    # sides that are multiples of nothing.
    height = width = side
    if rng.random() < 0.5:
        longer = int(side * scenes.uniform(rng, 1.05, 1.4))
        height, width = ((side, longer)
                         if rng.random() < 0.5 else (longer, side))
    used = dict(digits=[number], photos=[])
    image = scenes.dark_photo(rng, sources, height, width, used)
    cover, ink = scenes.render_digit(sources.digits[number],
                                     side * scenes.uniform(rng, 0.7, 0.92),
                                     scenes.uniform(rng, -8, 8))
    cover, ink = cover[:height, :width], ink[:height, :width]
    top = int(rng.integers(height - cover.shape[0] + 1))
    left = int(rng.integers(width - cover.shape[1] + 1))
    colour = scenes.bright_colour(rng)
    scenes.paint(image[top:top + cover.shape[0], left:left + cover.shape[1]],
                 cover, (0.78 + 0.22 * ink)[..., None] * colour)
    return scenes.to_bytes(image), used


def _save(image, path, kind):
    image = Image.fromarray(image)
    options = dict(quality=92, subsampling=0)
    if kind == 'grey':
        image.convert('L').save(path, 'JPEG', quality=92)
    elif kind == 'cmyk':
        image.convert('CMYK').save(path, 'JPEG', **options)
    elif kind == 'exif':
        exif = Image.Exif()
        # 6: the reader has to turn it a quarter clockwise to see it upright.
        exif[0x0112] = 6
        image.transpose(Image.ROTATE_90).save(
            path, 'JPEG', exif=exif, **options)
    elif kind == 'png':
        alpha = Image.new('L', image.size, 255)
        alpha.paste(0, (0, 0, image.width // 6, image.height // 6))
        image.putalpha(alpha)
        image.save(path, 'PNG')
    else:
        image.save(path, 'JPEG', **options)
