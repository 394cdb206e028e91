"""Problems of a data set, and how files are examined for them."""
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple, Sequence, Union

import numpy as np

from hpvit_mm.utils import progress, usable_cores

AGAIN = 'unpack it again'
SAMPLE = 200  # files that are decoded, per split
HEADERS = 2000  # files of which the header is read, per split


class Problem(NamedTuple):
    """A fault of a data set, and the remedy."""
    what: str
    remedy: str


class Fault(Exception):
    """A fault of one file."""

    def __init__(self, path: Union[str, Path], what: str, remedy: str,
                 detail: str = '') -> None:
        super().__init__(what)
        self.path, self.what = Path(path), what
        self.remedy, self.detail = remedy, detail


def some(found: Sequence, total: int, things: str, what: str,
         remedy: str) -> Iterator[Problem]:
    """One problem for all things with the same fault, none without.

    Args:
        found: Their names, or pairs of a name and a detail.
        total: Number of things that were examined.
        things: What they are, and where.
        what: The fault.
        remedy: What to do.
    """
    if found:
        first = found[0]
        if not isinstance(first, str):
            name, detail = first
            first = f'{name} ({detail})' if detail else name
        yield Problem(f'{len(found):,} of {total:,} {things} {what}, '
                      f'first {first}', remedy)


def in_threads(work: Callable, items: Sequence, title: str) -> Iterator:
    """Yield the results of a function for many items.

    Threads suffice: Pillow and OpenCV decode without the interpreter's lock.
    """
    pool = ThreadPoolExecutor(min(16, usable_cores()))
    try:
        yield from progress(pool.map(work, items), title, len(items))
    finally:
        pool.shutdown(cancel_futures=True)


def examine(work: Callable[[Any], None], items: Sequence, things: str,
            title: str = '', paths: bool = False) -> List[Problem]:
    """Call a function that raises a Fault; faults of a kind are one problem.

    Args:
        work: The function of an item.
        items: The items.
        things: What they are, and where.
        title: Of the progress bar. Defaults to ``things``.
        paths: Whether to name files by their paths. Defaults to False.
    """
    def fault_of(item):
        try:
            work(item)
        except Fault as fault:
            return fault

    faults = defaultdict(list)
    for fault in in_threads(fault_of, items, title or things):
        if fault:
            faults[fault.what, fault.remedy].append(
                (str(fault.path) if paths else fault.path.name, fault.detail))
    return [one for (what, remedy), found in faults.items()
            for one in some(found, len(items), things, what, remedy)]


def evenly(items: Sequence, number: int = SAMPLE) -> List:
    """All of a few items, or an evenly spread sample of many."""
    if len(items) <= number:
        return list(items)
    return [items[index] for index in
            np.linspace(0, len(items) - 1, number).round().astype(int)]
