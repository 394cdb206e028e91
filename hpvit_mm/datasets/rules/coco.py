"""Annotation files in COCO's format."""
import gc
import json
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import (Any, Collection, Dict, Iterator, List, Optional,
                    Sequence, Set, Tuple, Union)

from hpvit_mm.utils import shorten

from .problems import Fault, Problem, some

FIX = 'correct the file, or export it again'


@dataclass
class Use:
    """Use that a run makes of an annotation file.

    Attributes:
        classes: The class names that the run uses; None for all categories.
        training: Whether it learns from the objects.
        masks: Whether the pipeline loads masks.
        metrics: The metrics that pycocotools computes with the file.
        filter_cfg: ``filter_cfg`` of the data set.
    """
    classes: Optional[Sequence[str]] = None
    training: bool = True
    masks: bool = True
    metrics: Collection[str] = ('bbox', 'segm')
    filter_cfg: Optional[dict] = None


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause garbage collection: it would visit millions of objects again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def load(path: Union[str, Path]) -> Dict[str, list]:
    """Read an annotation file.

    Raises:
        Fault: If it is no such file.
    """
    try:
        with uncollected(), open(path, encoding='utf-8') as file:
            content = json.load(file)
    except (OSError, ValueError) as error:
        raise Fault(path, 'is not a COCO file', FIX,
                    ' '.join(str(error).split())) from error
    missing = [key for key in ('images', 'categories')
               if not isinstance(content, dict)
               or not isinstance(content.get(key), list)]
    if missing:
        raise Fault(path, 'is not a COCO file', FIX,
                    f'it has no list of {shorten(missing)}')
    return content


def problems(content: Dict[str, list], file: str, use: Use
             ) -> Iterator[Problem]:
    """Find what ends a run, or makes its results wrong.

    Args:
        content: Of the annotation file.
        file: Its name in messages.
        use: What the run does with it.
    """
    found = [*_of_images(content['images'], file),
             *_of_categories(content['categories'], file, use.classes)]
    yield from found
    if found:  # the objects refer to them
        return
    yield from _of_objects(content, file, use)


def _of_images(images: List[dict], file: str) -> Iterator[Problem]:
    if not images:
        yield Problem(f'{file} lists no images', FIX)
    things = f'images of {file}'
    for key in ('id', 'file_name', 'width', 'height'):
        lacking = [_name(one) for one in images
                   if not isinstance(one, dict) or one.get(key) is None]
        yield from some(lacking, len(images), things, f'have no {key}', FIX)
        if lacking:
            return
    strange = [(_name(one), f'{one["width"]!r} x {one["height"]!r}')
               for one in images
               if not are_numbers([one['width'], one['height']])]
    yield from some(strange, len(images), things,
                    'have a width or height that is not a number', FIX)
    nested = [str(one['id']) for one in images
              if isinstance(one['id'], (list, dict))]
    yield from some(nested, len(images), things,
                    'have an id that is not a number or text', FIX)
    unnamed = [(_name(one), repr(one['file_name'])) for one in images
               if not isinstance(one['file_name'], str)]
    yield from some(unnamed, len(images), things,
                    'have a file_name that is not text', FIX)
    if strange or nested or unnamed:
        return
    counts = Counter(one['id'] for one in images)
    yield from some([_name(one) for one in images if counts[one['id']] > 1],
                    len(images), things, "have another's id", FIX)


def _of_categories(categories: List[dict], file: str,
                   classes: Optional[Sequence[str]]) -> Iterator[Problem]:
    if not all(isinstance(one, dict)
               and isinstance(one.get('name'), (int, str))
               and isinstance(one.get('id'), (int, float, str))
               for one in categories):
        yield Problem(f'there is a category of {file} without an id or a '
                      'name', FIX)
        return
    names = [one['name'] for one in categories]
    if not names:
        yield Problem(f'{file} has no categories', FIX)
    ids = Counter(one['id'] for one in categories)
    shared = [one['name'] for one in categories if ids[one['id']] > 1]
    if shared:
        yield Problem(f'{file} has several categories with one id '
                      f'({shorten(shared)}), and objects of all of them would '
                      'become one class', 'give each an id of its own')
    wanted = names if classes is None else \
        [name for name in names if name in set(classes)]
    counts = Counter(wanted)
    twice = [name for name in counts if counts[name] > 1]
    if twice:
        ids = [one['id'] for one in categories if one['name'] == twice[0]]
        yield Problem(
            f'{file} has several categories with the name {twice[0]} (ids '
            f'{shorten(ids)}), and objects of all of them would become '
            'different classes', 'delete or rename those without objects, '
            'such as the grouping category of an export tool, and give the '
            'others one id')
    absent = [name for name in classes or () if name not in counts]
    if absent:
        yield Problem(
            f'{shorten(absent)} {"is" if len(absent) == 1 else "are"} not '
            f'among the categories of {file}, which are {shorten(names, 10)}',
            'set metainfo.classes to those to learn, and num_classes to their '
            'number')
    elif classes and not twice and wanted != list(classes):
        yield Problem(
            f'the classes ({shorten(classes)}) are in another order than the '
            f'categories of {file} ({shorten(wanted)}), and mmdet numbers '
            'them in the order of the file, so that names and numbers do not '
            'agree', 'list metainfo.classes in the order of the file, in all '
            'data sets the same, or reorder the categories of the file')


def _of_objects(content: Dict[str, list], file: str, use: Use
                ) -> Iterator[Problem]:
    objects = content.get('annotations')
    if objects is None:
        if use.training or use.metrics:
            yield Problem(f'{file} has no annotations', 'give a file with '
                          'annotations; how to predict without labels is in '
                          'docs/own_data.md')
        return
    sizes = {one['id']: (one['height'], one['width'])
             for one in content['images']}
    wanted = {one['id']: use.classes is None or one['name'] in use.classes
              for one in content['categories']}
    faults: Dict[Tuple[str, str], List[Any]] = defaultdict(list)
    ids, with_object, learnable = set(), set(), False
    for one in objects:
        what = _fault(one, sizes, wanted, use)
        if what:
            key = what[0].removeprefix('have an unknown ')
            detail = repr(one[key]) if key != what[0] else ''
            faults[what].append((_name(one), detail))
            continue
        if one['id'] in ids:
            faults["have another's id", ''].append((_name(one), ''))
        ids.add(one['id'])
        if not wanted[one['category_id']]:
            continue
        with_object.add(one['image_id'])
        learnable = learnable or (
            not one.get('iscrowd') and _is_kept(one, sizes[one['image_id']])
            and (not (use.training and use.masks)
                 or _has_mask(one['segmentation'])))
    for (what, remedy), names in faults.items():
        yield from some(names, len(objects), f'objects of {file}', what,
                        remedy or FIX)
    if not faults and not learnable and (use.training or use.metrics):
        yield Problem(
            f'{file} has no object of any class'
            + (', iscrowd, ignore, empty boxes and masks apart' if objects
               else ''),
            'give a file with objects to find, or correct metainfo.classes')
    if use.training and not faults:
        yield from _of_filter(content['images'], file, use, with_object)


def boxes_beyond(content: Dict[str, list], file: str) -> Iterator[Problem]:
    """Find boxes that reach out of their image, by more than a pixel.

    They may be meant, or be written as x, y, x, y.

    Args:
        content: Of an annotation file without problems.
        file: Its name in messages.
    """
    sizes = {one['id']: (one['width'], one['height'])
             for one in content['images']}
    objects = content.get('annotations', ())
    found = []
    for one in objects:
        x, y, width, height = one['bbox']
        right, bottom = sizes[one['image_id']]
        if x < -1 or y < -1 or x + width > right + 1 \
                or y + height > bottom + 1:
            found.append((_name(one), f'{one["bbox"]} in an image of {right} '
                          f'x {bottom}'))
    yield from some(found, len(objects), f'boxes of {file}',
                    'reach beyond their image', 'check that each bbox is x, '
                    'y, width, height')


def _fault(one: Any, sizes: dict, wanted: Dict[int, bool], use: Use
           ) -> Optional[Tuple[str, str]]:
    """Return the fault of an object and its remedy, None if there is none.

    Training accepts more than pycocotools does.
    """
    if not isinstance(one, dict):
        return 'are no objects', ''
    for key in ('id', 'image_id', 'category_id'):
        if one.get(key) is None:
            return f'have no {key}', ''
        if isinstance(one[key], (list, dict)):
            return f'have an {key} that is not a number or text' \
                if key != 'category_id' else 'have an unknown category_id', ''
    size = sizes.get(one['image_id'])
    if size is None:
        return 'have an unknown image_id', ''
    if one['category_id'] not in wanted:
        return 'have an unknown category_id', ''
    if one.get('ignore') and not use.metrics:
        return None
    box = one.get('bbox')
    if not isinstance(box, list) or len(box) != 4 or not are_numbers(box):
        return 'have no bbox of four numbers (x, y, width, height)', ''
    if one.get('area') is None:
        return 'have no area', 'add it (width times height of the bbox will ' \
            'do), or export the file again'
    if not are_numbers([one['area']]):
        return 'have an area that is not a number', ''
    if not wanted[one['category_id']]:
        return None
    if use.metrics and one.get('iscrowd') is None:
        return 'have no iscrowd', 'add "iscrowd": 0, or export the file again'
    if 'segm' in use.metrics or use.masks and _is_kept(one, size):
        return _fault_of_mask(one.get('segmentation'), size,
                              'segm' in use.metrics)
    return None


def _fault_of_mask(mask: Any, size: Tuple[int, int], evaluated: bool
                   ) -> Optional[Tuple[str, str]]:
    if not mask or not isinstance(mask, (list, dict)):
        return 'have no segmentation', 'add masks, or use a detector without '\
            'a mask head, with_mask=False and metric=["bbox"]'
    if isinstance(mask, dict):
        if not {'size', 'counts'} <= mask.keys():
            return ('have a mask without size or counts', '') if evaluated \
                else None  # mmdet ignores the object
        if mask['size'] != list(size):
            return 'have an RLE mask of another size than their image', ''
        counts = mask['counts']
        if not isinstance(counts, str) and (
                not isinstance(counts, list) or not are_numbers(counts)
                or sum(counts) != size[0] * size[1]):
            return 'have an RLE mask whose counts do not sum to the pixels ' \
                'of their image', ''
    elif not isinstance(mask[0], list):
        return 'have a polygon that is not in a list of polygons', \
            'write "segmentation": [[x, y, ...]]'
    elif not all(isinstance(polygon, list) and are_numbers(polygon)
                 for polygon in mask):
        return 'have a polygon that is not a list of numbers', \
            'write "segmentation": [[x, y, x, y, ...]]'
    elif evaluated and any(len(polygon) < 6 for polygon in mask):
        return 'have a polygon of fewer than six numbers', \
            'delete such polygons, or their objects'
    return None


def are_numbers(values: list) -> bool:
    """Return whether all values are numbers, none NaN or infinite."""
    try:
        total = sum(values)
    except TypeError:
        return False
    return total - total == 0


def _has_mask(mask: Any) -> bool:
    """Return whether mmdet learns from a mask, and does not ignore it."""
    if isinstance(mask, dict):
        return {'size', 'counts'} <= mask.keys()
    return any(len(one) >= 6 and len(one) % 2 == 0 for one in mask)


def _is_kept(one: dict, size: Tuple[int, int]) -> bool:
    """Return whether ``CocoDataset.parse_data_info`` keeps an object."""
    x, y, width, height = one['bbox']
    return not one.get('ignore') and one['area'] > 0 \
        and width >= 1 and height >= 1 \
        and min(x + width, size[1]) > max(x, 0) \
        and min(y + height, size[0]) > max(y, 0)


def _of_filter(images: List[dict], file: str, use: Use,
               with_object: Set[int]) -> Iterator[Problem]:
    """``filter_cfg`` must leave some images."""
    config = use.filter_cfg or {}
    empty, side = config.get('filter_empty_gt'), config.get('min_size', 0)
    if images and not any(
            min(one['width'], one['height']) >= side
            and (not empty or one['id'] in with_object) for one in images):
        yield Problem(f'filter_cfg drops all {len(images):,} images of {file}',
                      f'set min_size (now {side}) below the size of the '
                      'images')


def _name(one: Any) -> str:
    """The name of an entry in messages."""
    if not isinstance(one, dict):
        return str(one)
    if one.get('id') is not None:
        return f'id {one["id"]}'
    name = str(one.get('file_name', one))
    return name if len(name) <= 60 else f'{name[:57]}...'
