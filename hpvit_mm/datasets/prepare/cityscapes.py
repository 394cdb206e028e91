"""Cityscapes: the label maps of the 19 classes are derived."""
import json
import os
from pathlib import Path
from typing import Set

import numpy as np
from PIL import Image

from hpvit_mm.utils import replacing

from ..rules.cityscapes import LABELS, Thing, draw
from ..rules.images import check_size
from ..rules.label_maps import check_ids, ids_in, read_labels
from ..rules.problems import AGAIN, Fault, examine
from .files import RELEASE, check_images, listing, pairs
from .report import Report

IMAGE = '_leftImg8bit.png'
TARGET = '_gtFine_labelTrainIds.png'
LABEL_IDS = '_gtFine_labelIds.png'
POLYGONS = '_gtFine_polygons.json'
IDS = {255, *range(34)}  # 255 is the -1 of licence plates
TRAIN_IDS = {255, *range(19)}
# trainIds by id, 255 for those without
BY_ID = np.full(256, 255, np.uint8)
for _name, _id, _train_id, *_ in LABELS:
    if _id >= 0:
        BY_ID[_id] = _train_id


def check(report: Report, split: str) -> None:
    """Check one split, and make the label maps it lacks."""
    where, label_folder = f'leftImg8bit/{split}', f'gtFine/{split}'
    images, labels = report.root / where, report.root / label_folder
    names = listing(images, (IMAGE, ))
    report.count(where, len(names), split)
    check_images(report, where, names)
    sources = {one[:-len(suffix)] for suffix in (TARGET, LABEL_IDS, POLYGONS)
               for one in listing(labels, (suffix, ))}
    both = pairs(report, {one[:-len(IMAGE)] for one in names}, sources, where,
                 label_folder)
    made = []

    def work(one):
        if settle(f'{labels / one}', images / f'{one}{IMAGE}'):
            made.append(one)

    flawless = report.add(examine(
        work, both, f'label maps of {label_folder}', label_folder))
    if made:
        report.note('made', f'{label_folder}: {len(made):,} *{TARGET}')
    if flawless and both:
        report.note('fine', f'{label_folder}: {len(both):,} label maps')


def settle(base: str, image: Path) -> bool:
    """Compare the label map of an image with its source, or make it.

    Args:
        base: The path of the labels, without what tells their kinds apart.
        image: The image.

    Returns:
        Whether it was made.
    """
    target = Path(base + TARGET)
    there = os.path.lexists(target)
    wanted = None
    if os.path.exists(base + LABEL_IDS):
        wanted = BY_ID[checked(Path(base + LABEL_IDS), image, IDS, '0 to 33')]
    elif not there:
        wanted = from_polygons(Path(base + POLYGONS))
        check_size(Path(base + POLYGONS), wanted.shape[::-1], image)
    if not there:
        with replacing(target) as part:
            Image.fromarray(wanted).save(part, 'PNG')
        return True
    found = checked(target, image, TRAIN_IDS, '0 to 18 and 255')
    if wanted is not None and (found != wanted).any():
        raise Fault(target, 'differ from the *_labelIds.png beside them',
                    'move them away, and this makes them again')
    return False


def checked(path: Path, image: Path, allowed: Set[int],
            words: str) -> np.ndarray:
    """Read a label map (H, W), whose ids must be allowed."""
    labels = read_labels(path, image)
    check_ids(path, ids_in(labels), allowed, words, RELEASE)
    return labels


def from_polygons(path: Path) -> np.ndarray:
    """The label map (H, W) that the polygons describe."""
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
        things = [Thing(one['label'], one['polygon'])
                  for one in content['objects'] if not one.get('deleted')]
        return np.asarray(draw(things, content['imgHeight'],
                               content['imgWidth'], 'labelTrainIds'))
    except (OSError, ValueError, LookupError, TypeError,
            AttributeError) as error:
        raise Fault(path, 'cannot be read', AGAIN,
                    f'{type(error).__name__}: {error}') from error
