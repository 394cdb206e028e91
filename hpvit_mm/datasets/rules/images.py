"""Images as the decoder of a run sees them.

``LoadImageFromFile`` (mmcv, OpenCV) rotates an image by its EXIF orientation;
annotations may be of the pixels as they are stored.
"""
import warnings
from pathlib import Path
from typing import Callable, Tuple, Union

import mmcv
import numpy as np
from PIL import Image

from .problems import Fault

Size = Tuple[int, int]  # width, height
RESTORE = 'restore it, or unpack it again'
ORIENTATION = 0x0112
AS_STORED = (
    "where the annotations are of the pixels as they are stored, set "
    "color_type='color_ignore_orientation' in LoadImageFromFile, or remove "
    'the tag (exiftool -Orientation= FILES)')


def opened(path: Union[str, Path], use: Callable) -> object:
    """The result of a function of an image that Pillow has opened."""
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter('ignore')  # odd EXIF data in good images
            return use(image)
    # Pillow has a dozen exceptions for damaged files, SyntaxError among them
    except Exception as error:
        text = ' '.join(str(error).split())
        raise Fault(path, 'cannot be read', RESTORE,
                    'no image' if 'identify' in text else text) from error


def header(path: Union[str, Path]) -> Tuple[Size, int]:
    """The size of the stored pixels and the EXIF orientation, 1 to 8."""
    def use(image):
        # Pillow would decode all of a PNG to look behind the pixels, too
        first = image.format != 'PNG' or 'exif' in image.info
        exif = image.getexif() if first else {}
        return image.size, exif.get(ORIENTATION, 1)

    return opened(path, use)


def decode(path: Union[str, Path], flag: str = 'color') -> np.ndarray:
    """Decode an image as ``LoadImageFromFile`` does by default."""
    image = None
    try:
        image = mmcv.imfrombytes(Path(path).read_bytes(), flag=flag)
    except Exception:  # each decoder has its own
        pass
    if image is None:
        raise Fault(path, 'cannot be read', RESTORE, 'no image')
    return image


def decode_whole(path: Union[str, Path]) -> np.ndarray:
    """Decode an image; OpenCV alone accepts one that is cut off."""
    opened(path, Image.Image.load)
    return decode(path)


def size_in_run(path: Union[str, Path], load: Callable = decode) -> Size:
    """The size after decoding.

    Only an image that has an EXIF orientation is decoded for it.

    Args:
        path: The image.
        load: Decodes it.
    """
    if orientation_of(path) == 1:
        return header(path)[0]
    return load(path).shape[1::-1]


def orientation_of(path: Union[str, Path]) -> int:
    """The EXIF orientation, 0 where Pillow cannot read the image.

    It knows no TIFF of many bands, for one.
    """
    try:
        return header(path)[1]
    except Fault:
        return 0


def is_rotated(path: Union[str, Path], load: Callable = decode) -> bool:
    """Return whether decoding rotates or mirrors an image."""
    if header(path)[1] == 1:
        return False
    found = load(path)
    stored, turned = (decode(path, flag) for flag in
                      ('color_ignore_orientation', 'color'))
    if found.shape[:2] != stored.shape[:2]:
        return True
    if turned.shape != stored.shape or found.shape != stored.shape:
        return False
    near, far = (np.abs(found.astype(int) - one).sum()
                 for one in (turned, stored))
    return near < far


def check_size(path: Union[str, Path], found: Size, image: Union[str, Path],
               load: Callable = decode) -> None:
    """Annotations of an image must be as wide and high as it is in the run.

    Args:
        path: What has the annotations, for the message.
        found: Their size.
        image: The image.
        load: Decodes it.

    Raises:
        Fault: Where the sizes differ.
    """
    try:
        size = size_in_run(image, load)
    except Fault as fault:
        raise Fault(image, 'have an image that cannot be read', fault.remedy,
                    fault.detail) from fault
    if tuple(found) == tuple(size):
        return
    detail = '{} x {}, not {} x {}'.format(*found, *size)
    if orientation_of(image) > 4:
        raise Fault(path, 'have another size than their image, which is '
                    'rotated by its EXIF orientation', AS_STORED, detail)
    raise Fault(path, 'have another size than their image', 'take images and '
                'annotations from one release, unchanged', detail)


def check_depth(path: Union[str, Path], load: Callable = decode) -> None:
    """An image of 16 bits per value must not lose the lower 8.

    OpenCV drops them, except with ``color_type='unchanged'``. Values that are
    8 bits spread over 16 lose nothing.
    """
    if load(path).dtype != np.uint8:
        return
    try:
        stored = decode(path, 'unchanged')
    except Fault:  # OpenCV cannot read it
        return
    if stored.dtype == np.uint16 and (stored % 256).any() \
            and (stored % 257).any():
        raise Fault(
            path, 'have 16 bits per value, of which loading drops the lower '
            '8', "convert them to 8 bits, or set color_type='unchanged' in "
            'LoadImageFromFile', f'values up to {stored.max():,}')
