"""COCO 2017: nothing is derived."""
import json
from pathlib import Path
from typing import List, NamedTuple, Tuple

from .files import check_images, each, listing, read, some_of
from .label_maps import other_size
from .report import AGAIN, Report

GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
IDS = [number for number in range(1, 91) if number not in GAPS]


class Instances(NamedTuple):
    """What an annotation file holds, as far as it is looked at."""
    images: List[Tuple[int, str, Tuple[int, int]]]  # id, name, (w, h)
    categories: List[Tuple[int, str]]
    objects: List[Tuple[int, int, int, bool]]  # id, image, category, mask


def check(report: Report, split: str) -> None:
    """Check one split."""
    where, file = f'{split}2017', f'annotations/instances_{split}2017.json'
    names = set(listing(report.root / where, ('.jpg', )))
    try:
        # one item, but 450 MB: the bar says what takes so long
        content, = each(load, [report.root / file], file)
    except (OSError, ValueError, LookupError, TypeError,
            AttributeError) as error:
        report.wrong(f'{file} is no file of instances '
                     f'({type(error).__name__}: {error})', AGAIN)
        return
    sizes = {name: size for _, name, size in content.images}
    there = sorted(sizes.keys() & names)
    report.count(where, len(there), split)
    report.some(sorted(sizes.keys() - names), len(sizes), f'images of {file}',
                f'are not in {where}', AGAIN)
    if check_categories(report, content.categories, file) & check_objects(
            report, content, file):
        report.fine(f'{file}: {len(content.objects):,} objects, '
                    f'{len(content.categories)} categories')

    def work(path):
        size = read(path).shape[1::-1]
        if size != sizes[path.name]:
            raise other_size(path, size, sizes[path.name])

    check_images(report, where, there, work)


def load(path: Path) -> Instances:
    """Read an annotation file."""
    with open(path, encoding='utf-8') as file:
        content = json.load(file)
    return Instances(
        [(int(one['id']), str(one['file_name']),
          (one['width'], one['height'])) for one in content['images']],
        [(int(one['id']), str(one['name'])) for one in content['categories']],
        [(int(one['id']), int(one['image_id']), int(one['category_id']),
          bool(one.get('segmentation'))) for one in content['annotations']])


def check_categories(report: Report, categories: List[Tuple[int, str]],
                     file: str) -> bool:
    """The categories must be COCO's 80, in a subset at least one."""
    names = [name for _, name in sorted(categories)]
    if report.subset:
        right = bool(names)
    else:
        from hpvit_mm import environment
        environment.prepare()
        from mmdet.datasets import CocoDataset
        right = (names == list(CocoDataset.METAINFO['classes'])
                 and sorted(one for one, _ in categories) == IDS)
    if not right:
        report.wrong(
            f'{file} has {len(names)} categories ({some_of(names)}) and not '
            "COCO's 80 with the ids 1 to 90",
            "take COCO's own file, or accept other categories by --subset")
    return right


def check_objects(report: Report, content: Instances, file: str) -> bool:
    """Each object must have an image, a category, a mask and its own id."""
    images = {one[0] for one in content.images}
    categories = {one[0] for one in content.categories}
    strange, stray, bare, twice, seen = [], [], [], [], set()
    for number, image, category, mask in content.objects:
        name = f'id {number}'
        if image not in images:
            stray.append((name, image))
        if category not in categories:
            strange.append((name, category))
        if not mask:
            bare.append(name)
        if number in seen:
            twice.append(name)
        seen.add(number)
    for found, what in ((stray, 'have an unknown image_id'),
                        (strange, 'have an unknown category_id'),
                        (bare, 'have no mask'), (twice, "have another's id")):
        report.some(found, len(content.objects), f'objects of {file}', what,
                    AGAIN)
    return not (strange or stray or bare or twice)
