"""Finding the files of a data set, and looking at its images."""
import os
from pathlib import Path
from typing import Callable, Iterator, List, Sequence, Set, Tuple

from hpvit_mm.errors import UserError
from hpvit_mm.utils import shorten

from ..rules.images import AS_STORED, decode_whole, header, is_rotated
from ..rules.layouts import SPLITS, Layout, expected
from ..rules.problems import (AGAIN, HEADERS, Fault, evenly, examine,
                              in_threads)
from .report import Report

RELEASE = 'take them from the release, unchanged'
ARCHIVES = ('.zip', '.tar', '.tgz', '.gz')


# ------------------------------------------------------------------ places


def check_root(path: str, layout: Layout) -> Path:
    """Return the folder of a data set, which must exist."""
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
    """Name the archives in a folder, if any."""
    found = sorted(path.name for path in folder.glob('*')
                   if path.suffix in ARCHIVES)
    return f' (still packed: {shorten(found, 3)})' if found else ''


def below(folder: Path, depth: int = 3) -> Iterator[Path]:
    """Yield some folders below a folder, the nearest first."""
    inner = folders_in(folder)[:20] if depth else []
    yield from inner
    for one in inner:
        yield from below(one, depth - 1)


def folders_in(folder: Path) -> List[Path]:
    """Return the folders in a folder, without hidden ones."""
    with os.scandir(folder) as entries:  # without a stat of 50,000 files
        return sorted(Path(one.path) for one in entries
                      if one.is_dir() and one.name[0] != '.')


def listing(folder: Path, suffixes: Tuple[str, ...]) -> List[str]:
    """Return the files in and below a folder, as relative paths.

    Hidden files do not count, nor do they for the data set classes.
    """
    found = []
    for place, _, names in os.walk(folder, followlinks=True):
        found += [os.path.relpath(os.path.join(place, name), folder)
                  for name in names
                  if name.endswith(suffixes) and name[0] != '.']
    return sorted(found)


# ------------------------------------------------------------------ images


def check_images(report: Report, where: str, names: Sequence[str],
                 work: Callable = decode_whole) -> None:
    """Decode an evenly spread sample of the images of a folder."""
    folder = report.root / where
    report.add(examine(lambda name: work(folder / name), evenly(names),
                       f'images of {where} looked at', where))


def note_rotated(report: Report, where: str, names: Sequence[str],
                 annotations: str) -> None:
    """Say which images a run rotates by their EXIF orientation."""
    def rotated(name):
        path = report.root / where / name
        try:
            return is_rotated(path) and (name, header(path)[1])
        except Fault:  # reported by others
            return False

    looked = evenly(names, HEADERS)
    found = [one for one in in_threads(rotated, looked, where) if one]
    if found:
        report.note('look', '{:,} of {:,} images of {} looked at are rotated '
                    'or mirrored in a run, by their EXIF orientation, first '
                    '{} ({}): {} must be of the rotated images; {}'.format(
                        len(found), len(looked), where, *found[0],
                        annotations, AS_STORED))


def pairs(report: Report, images: Set[str], labels: Set[str], where: str,
          label_folder: str) -> List[str]:
    """Return the names with both image and label map; report the others."""
    report.some(sorted(images - labels), len(images), f'images of {where}',
                'have no label map', AGAIN)
    report.some(sorted(labels - images), len(labels),
                f'label maps of {label_folder}', 'have no image', AGAIN)
    return sorted(images & labels)
