"""COCO 2017: nothing is derived."""
from typing import List

from hpvit_mm.utils import shorten

from ..rules import coco
from ..rules.images import check_depth, check_size, decode_whole
from ..rules.problems import AGAIN, Fault, in_threads
from .files import check_images, listing, note_rotated
from .report import Report

GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
IDS = [number for number in range(1, 91) if number not in GAPS]
EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif')


def check(report: Report, split: str) -> None:
    """Check one split."""
    where, file = f'{split}2017', f'annotations/instances_{split}2017.json'
    try:
        # one item, but 450 MB: the bar says what takes so long
        content, = in_threads(coco.load, [report.root / file], file)
    except Fault as fault:
        report.wrong(f'{file} {fault.what} ({fault.detail})', AGAIN)
        return
    right = check_categories(report, content['categories'], file)
    if report.add(coco.problems(content, file, coco.Use())) and right \
            and same_categories(report, content['categories'], file):
        report.note('fine', f'{file}: {len(content["annotations"]):,} '
                    f'objects, {len(content["categories"])} categories')
        for problem in coco.boxes_beyond(content, file):
            report.note('look', '; '.join(problem))
    sizes = {one['file_name']: (one.get('width'), one.get('height'))
             for one in content['images'] if isinstance(one, dict)
             and isinstance(one.get('file_name'), str)}
    names = set(listing(report.root / where, EXTENSIONS))
    there = sorted(sizes.keys() & names)
    report.count(where, len(there), split)
    report.some(sorted(sizes.keys() - names), len(sizes), f'images of {file}',
                f'are not in {where}', AGAIN)

    def work(path):
        decode_whole(path)
        if path.suffix.lower() in ('.png', '.tif'):
            check_depth(path)
        size = sizes[str(path.relative_to(report.root / where))]
        if None not in size and coco.are_numbers(size):
            check_size(path, size, path)

    check_images(report, where, there, work)
    note_rotated(report, where, there, 'boxes and masks')


def same_categories(report: Report, categories: List[dict],
                    file: str) -> bool:
    """Categories of both files must be in one order: mmdet numbers by it."""
    names = [one['name'] for one in categories]
    first = report.categories = report.categories or names
    ours, theirs = ([name for name in one if name in other]
                    for one, other in ((names, first), (first, names)))
    if ours != theirs:
        report.wrong(
            f'{file} has the categories in the order {shorten(ours)}, and '
            f'the training file in the order {shorten(theirs)}, by which '
            'they are numbered', 'give both files one order')
    return ours == theirs


def check_categories(report: Report, categories: List[dict],
                     file: str) -> bool:
    """The categories must be COCO's 80; those of a subset may be others."""
    if report.subset:
        return True
    from hpvit_mm import environment
    environment.prepare()
    from mmdet.datasets import CocoDataset
    pairs = [(one.get('id'), one.get('name')) for one in categories
             if isinstance(one, dict)]
    right = pairs == list(zip(IDS, CocoDataset.METAINFO['classes']))
    if not right:
        report.wrong(
            f'{file} has {len(pairs)} categories '
            f"({shorten(name for _, name in pairs)}) and not COCO's 80 with "
            'the ids 1 to 90',
            "take COCO's own file, or accept other categories by --subset")
    return right
