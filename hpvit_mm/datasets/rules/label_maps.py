"""Label maps: one for each image, of its size, with class ids."""
from pathlib import Path
from typing import Callable, Collection, Set, Union

import mmcv
import numpy as np

from hpvit_mm.utils import shorten

from .images import check_size, decode, opened
from .problems import Fault


def read_labels(path: Union[str, Path], image: Union[str, Path],
                load: Callable = decode,
                backend: str = 'pillow') -> np.ndarray:
    """Read the ids of a label map (H, W), as ``LoadAnnotations`` does.

    Pillow keeps the ids of a PNG with a palette.

    Args:
        path: The label map.
        image: Its image.
        load: Decodes the image.
        backend: ``imdecode_backend`` of ``LoadAnnotations``.

    Raises:
        Fault: If it cannot be read, is in colour or of another size.
    """
    if not Path(path).exists():
        raise Fault(path, 'are missing', 'put them there, or correct '
                    'data_prefix.seg_map_path and seg_map_suffix')
    labels = opened(path, np.asarray)
    if backend != 'pillow':
        flat = labels.ndim == 2
        labels = mmcv.imfrombytes(Path(path).read_bytes(), flag='unchanged',
                                  backend=backend).squeeze()
        if flat and labels.ndim != 2:
            raise Fault(path, f'are in colour as {backend} reads them, and '
                        'hold no class ids', 'omit imdecode_backend of '
                        'LoadAnnotations')
    if labels.ndim != 2:
        raise Fault(path, 'are in colour and hold no class ids',
                    'take the label maps themselves, not pictures of them')
    check_size(path, labels.shape[::-1], image, load)
    return labels


def ids_in(labels: np.ndarray) -> Set[int]:
    """The ids of a label map."""
    if labels.dtype == bool:
        labels = labels.astype(np.uint8)
    if labels.dtype == np.uint8:  # counting is much faster than sorting
        return set(np.flatnonzero(np.bincount(labels.ravel())).tolist())
    return set(np.unique(labels).tolist())


def check_ids(path: Union[str, Path], found: Set[int],
              allowed: Collection[int], words: str, remedy: str) -> None:
    """All ids of a label map must be allowed.

    Args:
        path: The label map.
        found: Its ids.
        allowed: The ids it may have.
        words: The same in words.
        remedy: What to do.
    """
    strange = sorted(found - set(allowed))
    if strange:
        raise Fault(path, f'hold other ids than {words}', remedy,
                    shorten(strange))
