"""ImageNet's folder structure: one digit per image.

``train/<wnid>/<wnid>_<n>.JPEG``, ``val/ILSVRC2012_val_<8 digits>.JPEG`` and
``meta/{train,val}.txt``. As in the original, a few files are greyscale or
CMYK, rotated by an EXIF tag, or PNGs with transparency in spite of their name.
"""
import numpy as np
from PIL import Image

from . import scenes
from .sources import DIGIT_NAMES, SPLITS

CLASSES = DIGIT_NAMES
WNIDS = tuple(f'n1000000{i}' for i in range(10))
COUNTS = dict(default=dict(train=None, val=None), tiny=dict(train=30, val=20))
_SET = 1


def kind_of(index):
    """'plain', 'grey', 'cmyk', 'exif' or 'png', by number in the split."""
    first = {3: 'grey', 5: 'cmyk', 8: 'exif', 11: 'png'}
    later = {50: 'cmyk', 80: 'exif'}
    if index % 40 == 20:
        return 'grey'
    return first.get(index) or later.get(index % 100, 'plain')


def write(root, sources, split, count, size):
    """Write one split.

    Args:
        root (Path): The folder of the data set.
        sources (Sources): The pixels of the split.
        count (int): Number of images.
        size (int): Nominal side of the dense scenes; these are half of it.

    Yields:
        tuple[str, dict]: Path below ``root`` and what was used.
    """
    numbers = np.array(sorted(sources.digits))
    rng = scenes.make_rng(_SET, SPLITS.index(split))
    numbers = numbers[rng.permutation(len(numbers))]
    labels = np.array([sources.labels[number] for number in numbers])
    rank = np.zeros(len(numbers), int)
    for label in range(10):
        rank[labels == label] = np.arange(np.sum(labels == label))
    numbers = numbers[np.lexsort((labels, rank))][:count]  # classes in turn
    (root / 'meta').mkdir(parents=True, exist_ok=True)
    lines = []
    for index, number in enumerate(numbers.tolist()):
        label = sources.labels[number]
        name = f'ILSVRC2012_val_{index + 1:08d}.JPEG'
        if split == 'train':
            name = f'{WNIDS[label]}/{WNIDS[label]}_{number}.JPEG'
        rng = scenes.make_rng(_SET, SPLITS.index(split), index)
        image, used = _compose(rng, sources, number, size // 2)
        path = root / split / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(image, path, kind_of(index))
        lines.append(f'{name} {label}\n')
        yield f'{split}/{name}', used
    (root / 'meta' / f'{split}.txt').write_text(''.join(sorted(lines)))


def _compose(rng, sources, number, side):
    """A digit that nearly fills a photograph, and what was used."""
    height, width = scenes.random_shape(rng, side, 1.05, 1.4)
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
    image, options = Image.fromarray(image), dict(quality=92, subsampling=0)
    if kind == 'grey':
        image, options = image.convert('L'), dict(quality=92)
    elif kind == 'cmyk':
        image = image.convert('CMYK')
    elif kind == 'exif':
        options['exif'] = Image.Exif()
        options['exif'][0x0112] = 6  # to be turned a quarter clockwise
        image = image.transpose(Image.ROTATE_90)
    elif kind == 'png':
        alpha = Image.new('L', image.size, 255)
        alpha.paste(0, (0, 0, image.width // 6, image.height // 6))
        image.putalpha(alpha)
        options = {}
    image.save(path, 'PNG' if kind == 'png' else 'JPEG', **options)
