"""What a model that has learnt nothing reaches, computed from the labels.

Metrics that do not start at zero look better than they are; beside the
chance level they do not.
"""
from collections import Counter
from pathlib import Path
from typing import Iterable

import numpy as np

IGNORED = 255


def most_frequent_share(labels: Iterable) -> float:
    """Accuracy, in per cent, of always naming the most frequent class."""
    counts = Counter(labels)
    return 100 * max(counts.values()) / sum(counts.values())


def most_frequent_miou(label_maps: Iterable[np.ndarray]) -> float:
    """mIoU, in per cent, of giving every pixel the most frequent class.

    The intersection over union of that class is its share of the pixels;
    that of every other class is zero. Like mmseg's, the mean is over the
    classes that occur, and ignored pixels do not count.
    """
    counts = sum(np.bincount(labels.ravel(), minlength=256)
                 for labels in label_maps)
    counts[IGNORED] = 0
    return 100 * counts.max() / counts.sum() / np.count_nonzero(counts)


def read_labels(path: Path) -> list:
    """The labels of a list of pictures in ImageNet's form."""
    return [line.rsplit(maxsplit=1)[1]
            for line in Path(path).read_text().splitlines()]


def read_label_maps(paths: Iterable[Path], zero_is_ignored: bool = False):
    """The label maps of PNG files; see mmseg's ``reduce_zero_label``."""
    from PIL import Image
    for path in paths:
        labels = np.array(Image.open(path))
        # 0 becomes 255, by the wrap-around of eight bits
        yield labels - np.uint8(1) if zero_is_ignored else labels
