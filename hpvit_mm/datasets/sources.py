"""The real pixels: handwritten digits, photographs and textures.

All of them ship inside the wheels of scikit-learn and scikit-image, so nothing
is downloaded. Each belongs to one split for good, whatever the seed: a model
trained on one set of samples can be tested on any other without having seen
the validation pixels.
"""
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from hpvit_mm.errors import UserError

SPLITS = ('train', 'val')
DIGIT_NAMES = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven',
               'eight', 'nine')


@dataclass(frozen=True)
class Photo:
    """A photograph in a wheel.

    Attributes:
        file (str): Path inside the package.
        package (str): 'sklearn' or 'skimage'.
        split (str): The only split that may show it.
        origin (str): Author and licence, for the README.
        sky (tuple | None): Box (left, top, right, bottom) in pixels that
            shows nothing but sky.
    """
    file: str
    package: str
    split: str
    origin: str
    sky: tuple = None


PHOTOS = dict(
    astronaut=Photo('data/astronaut.png', 'skimage', 'train',
                    'NASA, public domain'),
    camera=Photo('data/camera.png', 'skimage', 'train',
                 'Lav Varshney, CC0', sky=(0, 0, 512, 60)),
    china=Photo('datasets/images/china.jpg', 'sklearn', 'train',
                'danielbuechele, flickr.com/photos/danielbuechele/6061409035, '
                'CC BY 2.0', sky=(300, 0, 640, 130)),
    coins=Photo('data/coins.png', 'skimage', 'train',
                'Brooklyn Museum, no known copyright restrictions'),
    flower=Photo('datasets/images/flower.jpg', 'sklearn', 'train',
                 'vultilion, flickr.com/photos/vultilion/6056698931, '
                 'CC BY 2.0'),
    ihc=Photo('data/ihc.png', 'skimage', 'train',
              'Center for Microscopy And Molecular Imaging, '
              'no known copyright restrictions'),
    retina=Photo('data/retina.jpg', 'skimage', 'train',
                 'Mikael Häggström, CC0'),
    chelsea=Photo('data/chelsea.png', 'skimage', 'val',
                  'Stefan van der Walt, CC0'),
    coffee=Photo('data/coffee.png', 'skimage', 'val',
                 'Rachel Michetti, CC0'),
    hubble=Photo('data/hubble_deep_field.jpg', 'skimage', 'val',
                 'NASA, public domain'),
    rocket=Photo('data/rocket.jpg', 'skimage', 'val',
                 'SpaceX, public domain', sky=(130, 0, 500, 110)))

TEXTURES = dict(
    brick='CC0 Textures (Bricks25), CC0',
    grass='linolafett on DeviantArt, CC0',
    gravel='CC0 Textures (Gravel04), CC0')

# There is one picture of each texture, so a split gets a side of it. The 16
# columns in between belong to neither, so that no interpolation reaches over.
TEXTURE_COLUMNS = dict(train=(0, 320), val=(336, 512))


def require_packages():
    """Check that the wheels with the pixels are installed.

    Raises:
        UserError: If scikit-learn or scikit-image is missing.
    """
    for module, name in (('sklearn', 'scikit-learn'),
                         ('skimage', 'scikit-image')):
        if importlib.util.find_spec(module) is None:
            raise UserError(
                f'the sample data are made from pictures inside {name}, '
                f'which is not installed: pip install {name}')


def _open(package, file):
    root = importlib.util.find_spec(package).submodule_search_locations[0]
    path = Path(root) / file
    if not path.is_file():
        raise UserError(
            f'the installed {package} has no {path}: install the wheels '
            'scikit-learn>=1.3 and scikit-image>=0.22 from PyPI')
    with Image.open(path) as image:
        return image.convert('RGB')


def split_digits(labels):
    """Assign every digit to a split: each fifth of its class is validation.

    Args:
        labels (ndarray): Class of each sample, shape (N,).

    Returns:
        dict: Split to sample numbers, ascending int arrays.
    """
    is_val = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        is_val[np.flatnonzero(labels == label)[2::5]] = True
    return dict(train=np.flatnonzero(~is_val), val=np.flatnonzero(is_val))


def load_labels():
    """Class of every digit, (1797,), in the order of their numbers."""
    from sklearn.datasets import load_digits
    return load_digits().target


class Sources:
    """The pixels of one split, and of no other.

    Scenes are composed from a ``Sources`` alone, so that they cannot show
    anything of the other split.

    Args:
        split (str): 'train' or 'val'.

    Attributes:
        digits (dict): Sample number to an (8, 8) float32 array in [0, 1].
        labels (dict): Sample number to class, 0 to 9.
        by_class (list[ndarray]): Sample numbers of each class.
        photos, textures, skies (dict): Name to a Pillow image, mode RGB.
    """

    def __init__(self, split):
        require_packages()
        from sklearn.datasets import load_digits
        assert split in SPLITS, split
        self.split = split
        data = load_digits()
        numbers = split_digits(data.target)[split]
        self.digits = {
            int(i): (data.images[i] / 16).astype(np.float32)
            for i in numbers
        }
        self.labels = {int(i): int(data.target[i]) for i in numbers}
        self.by_class = [
            numbers[data.target[numbers] == label] for label in range(10)
        ]
        self.photos = {}
        self.skies = {}
        for name, photo in PHOTOS.items():
            if photo.split == split:
                image = _open(photo.package, photo.file)
                self.photos[name] = image
                if photo.sky:
                    self.skies[name] = image.crop(photo.sky)
        left, right = TEXTURE_COLUMNS[split]
        self.textures = {}
        for name in TEXTURES:
            image = _open('skimage', f'data/{name}.png')
            image = image.crop((left, 0, right, image.height))
            # The courses of the bricks run upwards in the file.
            self.textures[name] = (
                image.transpose(Image.ROTATE_90) if name == 'brick' else image)
