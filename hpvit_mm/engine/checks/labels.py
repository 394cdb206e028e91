"""Whether every label is one of the classes, and there is any at all.

A label outside of the classes crashes a GPU in the middle of an epoch, or
is ignored in silence. Each library stores labels in its own way, so each has
its own function here; all read the files themselves, which takes seconds,
instead of the data set, which the run builds a moment later.
"""
import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List, Optional, Sequence, Set, Union

import numpy as np
from PIL import Image

from hpvit_mm.errors import UserError
from hpvit_mm.utils import shorten

# Label maps are read one by one: all of a small set, else this many.
SMALL_SET = 300
SAMPLE = 200


def check_labels(dataset: Any, path: str,
                 num_classes: Optional[int]) -> None:
    """Check the labels of a data set by the kind of its files.

    Args:
        dataset: A data set, built lazily.
        path: Where it stands in the config.
        num_classes: How many classes there should be, None if unknown.
    """
    if hasattr(dataset, 'COCOAPI'):
        check_coco(dataset, path)
    elif hasattr(dataset, 'label_map'):
        check_label_maps(dataset, path, num_classes)
    elif getattr(dataset, 'with_label', False):
        if dataset.ann_file:
            check_list(dataset, path, num_classes)
        else:
            check_folders(dataset, path, num_classes)


def check_image(file: str, path: str) -> None:
    """The first image stands for all: is the folder the right one?"""
    if not os.path.isfile(file):
        raise UserError(f'{path}.data_prefix: the image {file} does not '
                        'exist; correct data_prefix, or put the images there')


# -------------------------------------------------------------- detection


def check_coco(dataset: Any, path: str) -> None:
    """Check a COCO file: its categories, and those of its objects."""
    file = dataset.ann_file
    content = read_json(file, path)
    if not content['images']:
        raise UserError(f'{path}.ann_file: {file} lists no images; correct '
                        'ann_file, or build the data again')
    check_image(os.path.join(dataset.data_prefix.get('img', ''),
                             content['images'][0]['file_name']), path)
    names = {one['id']: one['name'] for one in content['categories']}
    if type(dataset).load_data_list.__qualname__.startswith('CocoDataset.'):
        check_categories(dataset.metainfo['classes'], names.values(), file,
                         path)
    # panoptic files have segments instead, test sets nothing
    labels = Counter(one['category_id']
                     for one in content.get('annotations', ())
                     if 'category_id' in one)
    strange = labels.keys() - names.keys()
    if strange:
        raise UserError(
            f'{path}.ann_file: {sum(labels[one] for one in strange)} objects '
            f'in {file} have the category_id {shorten(sorted(strange))}, '
            'which is not among its categories; correct the file')
    wanted = {names[one] for one in labels} & set(dataset.metainfo['classes'])
    if (dataset.filter_cfg or {}).get('filter_empty_gt') and not wanted:
        raise UserError(f'{path}.ann_file: {file} has no object of any '
                        'class; correct ann_file or metainfo.classes')


def check_categories(classes: Sequence[str], names: Sequence[str], file: str,
                     path: str) -> None:
    """Every class must be a category of the COCO file."""
    absent = [name for name in classes if name not in names]
    if absent:
        raise UserError(
            f'{path}.metainfo.classes: {shorten(absent)} '
            f'{"is" if len(absent) == 1 else "are"} not among the categories '
            f'of {file}, which are {shorten(names)}; set metainfo.classes to '
            'those to learn, and num_classes to their number')


def read_json(file: str, path: str) -> Dict[str, list]:
    """Read a COCO file."""
    try:
        with open(file, encoding='utf-8') as stream:
            content = json.load(stream)
        missing = {'images', 'categories'} - content.keys()
    except (ValueError, AttributeError) as error:
        raise UserError(f'{path}.ann_file: {file} is not a COCO file: '
                        f'{error}; correct ann_file') from error
    if missing:
        raise UserError(
            f'{path}.ann_file: {file} is not a COCO file, it lacks '
            f'{shorten(sorted(missing))}; correct ann_file')
    return content


# --------------------------------------------------------- classification


def check_list(dataset: Any, path: str, num_classes: Optional[int]) -> None:
    """Check an annotation list of lines 'file label'."""
    with open(dataset.ann_file, encoding='utf-8') as stream:
        lines = [line.strip() for line in stream]
    if not lines:
        raise UserError(f'{path}.ann_file: {dataset.ann_file} is empty; '
                        'correct ann_file, or build the data again')
    for number, line in enumerate(lines, 1):
        _, space, label = line.rpartition(' ')
        if not space or not label.isdigit() or (num_classes and
                                   int(label) >= num_classes):
            allowed = f'0 to {num_classes - 1}' if num_classes else 'numbers'
            raise UserError(
                f'{path}.ann_file: line {number} of {dataset.ann_file}, '
                f'"{line}", has the label {label if space else "(none)"}, and '
                f'labels must be {allowed}; correct the line, or '
                'metainfo.classes and num_classes')
    check_image(os.path.join(dataset.img_prefix,
                             lines[0].rpartition(' ')[0]), path)


def check_folders(dataset: Any, path: str,
                  num_classes: Optional[int]) -> None:
    """Check a folder with one folder of images per class."""
    folder = dataset.img_prefix
    found = sorted(one.name for one in os.scandir(folder) if one.is_dir())
    if not found:
        raise UserError(
            f'{path}.data_prefix: {folder} holds no folders of images, one '
            'per class; correct data_prefix, or name an ann_file')
    if num_classes and num_classes != len(found):
        raise UserError(
            f'{path}: {num_classes} classes are expected, but {folder} holds '
            f'{len(found)} folders ({shorten(found)}); list one class per '
            'folder, in that order, in metainfo.classes, and set num_classes')


# ----------------------------------------------------------- segmentation


def check_label_maps(dataset: Any, path: str,
                     num_classes: Optional[int]) -> None:
    """Check the pixel values of label maps."""
    samples = dataset.load_data_list()
    if not samples:
        raise UserError(
            f'{path}.data_prefix: there are no images *{dataset.img_suffix} '
            f'in {dataset.data_prefix["img_path"]}; correct data_prefix or '
            'img_suffix')
    check_image(samples[0]['img_path'], path)
    files = [one['seg_map_path'] for one in samples if 'seg_map_path' in one]
    if not files or not num_classes:
        return
    if dataset.label_map:  # a choice of the classes: all labels may occur
        num_classes = len(dataset.label_map)
    first = 1 if dataset.reduce_zero_label else 0
    allowed = {255, dataset.ignore_index, *range(first + num_classes)}
    checked = evenly(files)
    with ThreadPoolExecutor() as pool:
        for file, values in zip(checked, pool.map(pixel_values, checked)):
            if isinstance(values, str):
                raise UserError(
                    f'{path}: the label map {file} {values}; correct it, or '
                    'data_prefix.seg_map_path and seg_map_suffix')
            if values - allowed:
                raise UserError(
                    f'{path}: the label map {file} holds '
                    f'{shorten(sorted(values - allowed))}, but the '
                    f'{num_classes} classes are {first} to '
                    f'{first + num_classes - 1}, and ignored are '
                    f'{"0 and " if first else ""}255 (reduce_zero_label is '
                    f'{bool(first)}); correct the label maps, '
                    'metainfo.classes or reduce_zero_label')


def evenly(files: List[str]) -> List[str]:
    """All of a few files, or an evenly spread sample of many."""
    if len(files) <= SMALL_SET:
        return files
    return [files[i] for i in
            np.linspace(0, len(files) - 1, SAMPLE).round().astype(int)]


def pixel_values(file: str) -> Union[Set[int], str]:
    """The values in a label map, or what is wrong with the file.

    Pillow is what the data set reads with: it keeps the numbers of an image
    with a palette.
    """
    if not os.path.isfile(file):
        return 'does not exist'
    try:
        with Image.open(file) as image:
            labels = np.asarray(image)
    except OSError:
        return 'cannot be read'
    if labels.ndim != 2:
        return 'is a colour image and holds no class numbers'
    if labels.dtype == np.uint8:  # a count is many times faster than a sort
        return set(np.flatnonzero(np.bincount(labels.ravel())).tolist())
    return set(np.unique(labels).tolist())
