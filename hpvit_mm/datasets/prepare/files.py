"""Finding and reading the files of a data set."""
import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import (Any, Callable, Iterable, Iterator, List, Sequence,
                    Tuple)

import numpy as np
from PIL import Image

from hpvit_mm.errors import UserError
from hpvit_mm.utils import progress, usable_cores

from .layouts import SPLITS, Layout, expected
from .report import AGAIN, Report

SAMPLE = 200  # images decoded per split
THREADS = min(16, usable_cores())
ARCHIVES = ('.zip', '.tar', '.tgz', '.gz')


class Fault(Exception):
    """What is wrong with one file, and how to mend it."""

    def __init__(self, path: Path, what: str, remedy: str, detail: str = ''):
        super().__init__(what)
        self.path, self.what = Path(path), what
        self.remedy, self.detail = remedy, detail


# ------------------------------------------------------------------ places


def check_root(path: str, layout: Layout) -> Path:
    """The folder of a data set, which must exist."""
    root = Path(path)
    if not root.is_dir():
        raise UserError(f'there is no folder {root.absolute()}; make it from '
                        + layout.origin + packed(root.absolute().parent)
                        + expected(layout.data_set, path, command=False))
    return root


def check_places(report: Report) -> List[str]:
    """Report what is missing or misplaced; return the complete splits."""
    root, needs = report.root, report.layout.needs
    places = sorted({place for split in SPLITS for place in needs[split]})
    absent = [place for place in places if not (root / place).exists()]
    nearby = list(below(root)) if absent else []
    if absent == places:
        outer = Path(os.path.abspath(root)).parents[:2]
        other = max([*outer, *nearby], key=lambda folder: sum(
            (folder / place).exists() for place in places))
        if any((other / place).exists() for place in places):
            report.wrong(f'{root} is not the folder of the data set, {other} '
                         'is', 'give that one')
            return []
    bad = set(absent)
    for place in absent[:]:
        for folder in nearby:
            if (folder / place).exists():
                absent.remove(place)
                report.wrong(f'{place} is missing, but '
                             f'{(folder / place).relative_to(root)} is there',
                             f'move or link that to {place}')
                break
    if absent:
        report.wrong('missing: ' + ', '.join(absent),
                     'unpack it' + packed(root))
    for place in set(places) - bad:
        inner = f'{place}/{Path(place).name}'
        if (root / inner).is_dir():
            bad.add(place)
            report.wrong(f'{inner} is one level too deep',
                         f'move what is in it up to {place}')
    report.incomplete = bool(bad)
    return [split for split in SPLITS if not bad & set(needs[split])]


def packed(folder: Path) -> str:
    """The archives that lie in a folder, if any."""
    found = sorted(path.name for path in folder.glob('*')
                   if path.suffix in ARCHIVES)
    return f' (still packed: {some_of(found, 3)})' if found else ''


def below(folder: Path, depth: int = 3) -> Iterator[Path]:
    """The folders below a folder, the nearest first, few of many."""
    inner = folders_in(folder)[:20] if depth else []
    yield from inner
    for one in inner:
        yield from below(one, depth - 1)


def folders_in(folder: Path) -> List[Path]:
    """The folders in a folder, but not the hidden ones."""
    with os.scandir(folder) as entries:  # asks nothing about 50,000 files
        return sorted(Path(one.path) for one in entries
                      if one.is_dir() and one.name[0] != '.')


def listing(folder: Path, suffixes: Tuple[str, ...]) -> List[str]:
    """The files in and below a folder, by relative paths.

    Names that begin with a dot do not count: the data set classes pass them
    over, too.
    """
    found = []
    for place, _, names in os.walk(folder, followlinks=True):
        found += [os.path.relpath(os.path.join(place, name), folder)
                  for name in names
                  if name.endswith(suffixes) and name[0] != '.']
    return sorted(found)


# ----------------------------------------------------------------- reading


def read(path: Path) -> np.ndarray:
    """The pixels of an image, (H, W) or (H, W, C)."""
    return _opened(path, np.asarray)


def size_of(path: Path) -> Tuple[int, int]:
    """Width and height, from the head of the file."""
    return _opened(path, lambda image: image.size)


def _opened(path: Path, use: Callable) -> Any:
    try:
        with Image.open(path) as image:
            return use(image)
    # Pillow has a dozen exceptions for damaged files, SyntaxError among them
    except Exception as error:
        text = ' '.join(str(error).split())
        raise Fault(path, 'cannot be read', AGAIN,
                    'no image' if 'identify' in text else text) from error


def each(work: Callable, items: Sequence, title: str) -> Iterator:
    """The results of a function for many items, in threads.

    Threads suffice: Pillow decodes and encodes without holding the lock.
    """
    pool = ThreadPoolExecutor(THREADS)
    try:
        yield from progress(pool.map(work, items), title, len(items))
    finally:
        pool.shutdown(cancel_futures=True)


def check_each(report: Report, work: Callable, items: Sequence, files: str,
               title: str) -> bool:
    """Call a function that raises a Fault for what is wrong.

    Faults of one kind share a line of the report.

    Returns:
        Whether there are none.
    """
    faults = defaultdict(list)

    def faulty(item):
        try:
            work(item)
        except Fault as fault:
            return fault

    for fault in each(faulty, items, title):
        if fault:
            faults[fault.what, fault.remedy].append(
                (fault.path.name, fault.detail))
    for (what, remedy), found in faults.items():
        report.some(found, len(items), files, what, remedy)
    return not faults


def check_images(report: Report, where: str, names: Sequence[str],
                 work: Callable = read) -> None:
    """Decode an evenly spread sample of the images of a folder."""
    folder = report.root / where
    check_each(report, lambda name: work(folder / name), evenly(names),
               f'images of {where} looked at', where)


def evenly(items: Sequence[str], number: int = SAMPLE) -> List[str]:
    """All of a few, or an evenly spread sample of many."""
    if len(items) <= number:
        return list(items)
    return [items[i] for i in
            np.linspace(0, len(items) - 1, number).round().astype(int)]


def some_of(values: Iterable, number: int = 5) -> str:
    """The first of many values."""
    values = [str(value) for value in values]
    return ', '.join(values[:number]) + (', ...' if len(values) > number
                                         else '')
