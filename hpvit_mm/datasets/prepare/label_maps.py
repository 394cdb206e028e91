"""Label maps: one for each image, of its size, with class numbers."""
from pathlib import Path
from typing import List, Set, Tuple

import numpy as np

from .files import Fault, read, size_of, some_of
from .report import AGAIN, Report


def pairs(report: Report, images: Set[str], labels: Set[str], where: str,
          label_folder: str) -> List[str]:
    """The names that have both; the others are reported."""
    report.some(sorted(images - labels), len(images), f'images of {where}',
                'have no label map', AGAIN)
    report.some(sorted(labels - images), len(labels),
                f'label maps of {label_folder}', 'have no image', AGAIN)
    return sorted(images & labels)


def read_labels(path: Path, image: Path, allowed: Set[int], words: str
                ) -> np.ndarray:
    """Class numbers (H, W); raises a Fault where they cannot be right.

    Args:
        path: The label map.
        image: Its image.
        allowed: The values it may have.
        words: The same in words.
    """
    # Pillow, as the data set: it keeps the numbers of a PNG with a palette
    labels = read(path)
    if labels.ndim != 2:
        raise Fault(path, 'are in colour and hold no class numbers',
                    'take the label maps themselves, not pictures of them')
    check_size(path, labels.shape[::-1], image)
    if labels.dtype == np.uint8:  # counting is much faster than sorting
        found = set(np.flatnonzero(np.bincount(labels.ravel())).tolist())
    else:
        found = set(np.unique(labels).tolist())
    if found - allowed:
        raise Fault(path, f'hold other values than {words}',
                    'take them from the release, unchanged',
                    some_of(sorted(found - allowed)))
    return labels


def check_size(path: Path, size: Tuple[int, int], image: Path) -> None:
    """A label map must be as wide and high as its image."""
    try:
        wanted = size_of(image)
    except Fault as fault:
        raise Fault(image, 'have an image that cannot be read', fault.remedy,
                    fault.detail) from fault
    if size != wanted:
        raise other_size(path, size, wanted)


def other_size(path: Path, found: Tuple[int, int],
               wanted: Tuple[int, int]) -> Fault:
    """Sizes are width and height."""
    return Fault(path, 'have another size than they should',
                 'take images and labels from one release, unchanged',
                 '{} x {}, not {} x {}'.format(*found, *wanted))
