"""The real pixels: handwritten digits, photographs and textures.

All of them ship inside the wheels of scikit-learn and scikit-image, so nothing
is downloaded. Each belongs to one split.
"""
import gzip
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
        split (str): The only split that shows it.
        file (str): Path below the packages.
        origin (str): Author and licence.
        sky (tuple | None): Box (left, top, right, bottom) in pixels that
            shows nothing but sky.
    """
    split: str
    file: str
    origin: str
    sky: tuple = None


PHOTOS = dict(
    astronaut=Photo('train', 'skimage/data/astronaut.png',
                    'NASA, public domain'),
    camera=Photo('train', 'skimage/data/camera.png', 'Lav Varshney, CC0',
                 sky=(0, 0, 512, 60)),
    china=Photo('train', 'sklearn/datasets/images/china.jpg',
                'danielbuechele, flickr.com/photos/danielbuechele/6061409035, '
                'CC BY 2.0', sky=(300, 0, 640, 130)),
    coins=Photo('train', 'skimage/data/coins.png',
                'Brooklyn Museum, no known copyright restrictions'),
    flower=Photo('train', 'sklearn/datasets/images/flower.jpg',
                 'vultilion, flickr.com/photos/vultilion/6056698931, '
                 'CC BY 2.0'),
    ihc=Photo('train', 'skimage/data/ihc.png',
              'Center for Microscopy And Molecular Imaging, '
              'no known copyright restrictions'),
    retina=Photo('train', 'skimage/data/retina.jpg', 'Mikael Häggström, CC0'),
    chelsea=Photo('val', 'skimage/data/chelsea.png',
                  'Stefan van der Walt, CC0'),
    coffee=Photo('val', 'skimage/data/coffee.png', 'Rachel Michetti, CC0'),
    hubble=Photo('val', 'skimage/data/hubble_deep_field.jpg',
                 'NASA, public domain'),
    rocket=Photo('val', 'skimage/data/rocket.jpg', 'SpaceX, public domain',
                 sky=(130, 0, 500, 110)))
TEXTURES = dict(
    brick='CC0 Textures (Bricks25), CC0',
    grass='linolafett on DeviantArt, CC0',
    gravel='CC0 Textures (Gravel04), CC0')
# There is one image of each texture, so a split gets a side of it. The 16
# columns in between belong to neither, so that no interpolation reaches over.
TEXTURE_COLUMNS = dict(train=(0, 320), val=(336, 512))


def find(file):
    """The path of a file in an installed package.

    Raises:
        UserError: If the package is not installed or lacks the file.
    """
    package, _, rest = file.partition('/')
    spec = importlib.util.find_spec(package)
    path = Path(spec.submodule_search_locations[0]) / rest if spec else None
    if path is None or not path.is_file():
        name = dict(sklearn='scikit-learn', skimage='scikit-image')[package]
        raise UserError(f'the sample data are made from {file}, which is '
                        f'not installed: pip install {name}')
    return path


def load_image(file):
    with Image.open(find(file)) as image:
        return image.convert('RGB')


def load_digits():
    """Pixels (1797, 8, 8), 0 to 16, and classes of scikit-learn's digits."""
    # Read here: importing scikit-learn takes longer than a small build.
    with gzip.open(find('sklearn/datasets/data/digits.csv.gz')) as file:
        data = np.loadtxt(file, delimiter=',')
    return data[:, :-1].reshape(-1, 8, 8), data[:, -1].astype(int)


class Sources:
    """The pixels of one split, and of no other.

    Args:
        split (str): 'train' or 'val'.

    Attributes:
        digits (dict): Sample number to an (8, 8) float32 array in [0, 1].
        labels (dict): Sample number to class, 0 to 9.
        by_class (list[ndarray]): Sample numbers of each class.
        photos, textures, skies (dict): Name to a Pillow image, mode RGB.
    """

    def __init__(self, split):
        images, labels = load_digits()
        # Every fifth digit of a class is for validation.
        is_val = np.zeros(len(labels), bool)
        for label in range(10):
            is_val[np.flatnonzero(labels == label)[2::5]] = True
        numbers = np.flatnonzero(is_val == (split == 'val'))
        self.digits = {int(i): (images[i] / 16).astype(np.float32)
                       for i in numbers}
        self.labels = {int(i): int(labels[i]) for i in numbers}
        self.by_class = [numbers[labels[numbers] == label]
                         for label in range(10)]
        self.photos = {name: load_image(photo.file)
                       for name, photo in PHOTOS.items()
                       if photo.split == split}
        self.skies = {name: image.crop(PHOTOS[name].sky)
                      for name, image in self.photos.items()
                      if PHOTOS[name].sky}
        left, right = TEXTURE_COLUMNS[split]
        self.textures = {}
        for name in TEXTURES:
            image = load_image(f'skimage/data/{name}.png')
            image = image.crop((left, 0, right, image.height))
            # The courses of the bricks run upwards in the file.
            self.textures[name] = (
                image.transpose(Image.ROTATE_90) if name == 'brick' else image)
