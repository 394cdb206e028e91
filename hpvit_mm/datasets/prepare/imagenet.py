"""ImageNet-1K: the lists of labels are derived.

Classes are numbered in the alphabetical order of the folders in ``train/``.
Those of ``val/`` come from its folders, the devkit, or Kaggle's table.
"""
import csv
import os
from collections import Counter
from pathlib import Path
from typing import Dict, List, Optional

from scipy.io import loadmat

from hpvit_mm.errors import UserError
from hpvit_mm.utils import replacing

from ..rules.folders import problems_of_list, read_list
from ..rules.problems import AGAIN, in_threads
from .files import below, check_images, folders_in, listing, packed
from .report import Report

SUFFIXES = ('.JPEG', '.JPG', '.PNG', '.jpeg', '.jpg', '.png')
CLASSES = 1000
PER_CLASS = 50
# The devkit numbers its classes in another order; no range of labels and no
# count would show that it was taken.
FIRST_LABELS = {f'ILSVRC2012_val_{index:08d}.JPEG': label for index, label in
                enumerate(('65', '970', '230', '809', '516'), 1)}
TRUTH = 'ILSVRC2012_validation_ground_truth.txt'
KAGGLE = 'LOC_val_solution.csv'
SOURCES = ("unpack ILSVRC2012_devkit_t12.tar.gz or put Kaggle's "
           f'{KAGGLE} here, and this makes it')


def check(report: Report, split: str) -> None:
    """Check one split, and make its list."""
    wnids = [one.name for one in folders_in(report.root / 'train')]
    check_split = check_train if split == 'train' else check_val
    check_split(report, wnids)


def check_train(report: Report, wnids: List[str]) -> None:
    """Check ``train/``, which has a folder per class."""
    folder = report.root / 'train'
    if not wnids or len(wnids) != CLASSES and not report.subset:
        report.wrong(f'train: {len(wnids):,} folders of classes, but '
                     f'ImageNet-1K has {CLASSES:,}',
                     AGAIN + packed(folder))
    found = in_threads(lambda wnid: listing(folder / wnid, SUFFIXES), wnids,
                       'train')
    images = {wnid: [f'{wnid}/{name}' for name in names]
              for wnid, names in zip(wnids, found)}
    report.some([wnid for wnid in wnids if not images[wnid]], len(wnids),
                'folders of train', 'hold no images',
                AGAIN + packed(folder))
    names = [name for wnid in wnids for name in images[wnid]]
    report.count('train', len(names), 'train')
    check_images(report, 'train', names)
    settle(report, 'train', [f'{name} {label}'
                             for label, wnid in enumerate(wnids)
                             for name in images[wnid]])


def check_val(report: Report, wnids: List[str]) -> None:
    """Check ``val/``, which has folders like ``train/`` or a list."""
    names = listing(report.root / 'val', SUFFIXES)
    report.count('val', len(names), 'val')
    check_images(report, 'val', names)
    flat = not any('/' in name for name in names)
    if flat and (report.root / 'meta/val.txt').exists():
        check_list(report, names, len(wnids))
        return
    classes = truth(report, names) if flat else {
        name: name.partition('/')[0] for name in names}
    if classes is None:
        return
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    unknown = [name for name in names if classes.get(name) not in labels]
    report.some(unknown, len(names), 'images of val', 'are of no class of '
                'train', 'complete train, or correct what tells the classes '
                'of val')
    if not unknown:
        settle(report, 'val', [f'{name} {labels[classes[name]]}'
                               for name in names])
        if flat and (report.root / 'meta/val.txt').exists():
            check_list(report, names, len(wnids))


def settle(report: Report, split: str, lines: List[str]) -> None:
    """Compare a list with the images, or make it.

    It is made only where nothing is wrong: a list of half of the images would
    be wrong as soon as the others are there.
    """
    name = f'meta/{split}.txt'
    path = report.root / name
    if os.path.lexists(path):
        found = [' '.join(pair).strip() for pair in read_list(path)]
        strange = sorted(set(found) ^ set(lines))
        if strange or len(found) != len(lines):
            report.wrong(
                f'{name} is not what {split}/ says: {len(found):,} lines for '
                f'{len(lines):,} images'
                + (f', first other line: {strange[0]}' if strange else ''),
                'move it away, and this makes it again')
        else:
            report.note('fine', f'{name}: {len(lines):,} lines')
    elif not report.problems:
        try:
            with replacing(path) as part:
                part.write_text(''.join(f'{line}\n' for line in lines))
        except (OSError, UserError):  # shared data are often read-only
            report.wrong(f'{name} cannot be written', 'free some space, or '
                         'give a folder of your own with links to train and '
                         'val')
        else:
            report.note('made', f'{name}: {len(lines):,} lines')


def check_list(report: Report, names: List[str], classes: int) -> None:
    """Check an existing list: each image once, labels in range."""
    path = report.root / 'meta/val.txt'
    lines = read_list(path)
    label_of, known = dict(lines), set(names)
    remedy = 'move it away, ' + SOURCES
    fine = report.add((what, remedy) for what, _ in problems_of_list(
        path, classes))
    counts = Counter(name for name, _ in lines)
    faults = [
        ('name no image of val',
         [name for name, _ in lines if name not in known]),
        ('repeat a name', [name for name in counts if counts[name] > 1])]
    if not report.subset:
        counts = Counter(label for _, label in lines)
        faults += [
            (f'have a label of which there are not {PER_CLASS}',
             [one for one in lines if counts[one[1]] != PER_CLASS]),
            ("have another label than the original's",
             [(name, f'{label_of[name]}, not {label}')
              for name, label in FIRST_LABELS.items()
              if label_of.get(name, label) != label])]
    for what, found in faults:
        report.some(found, len(lines), 'lines of meta/val.txt', what, remedy)
    absent = [name for name in names if name not in label_of]
    report.some(absent, len(names), 'images of val', 'are not in meta/val.txt',
                remedy)
    if fine and not absent and not any(found for _, found in faults):
        report.note('fine', f'meta/val.txt: {len(lines):,} lines')


def truth(report: Report, names: List[str]) -> Optional[Dict[str, str]]:
    """Read the class of each image from a table beside the data, if any."""
    for folder in [report.root, *below(report.root, 2)]:
        for file, load in ((KAGGLE, load_kaggle), (TRUTH, load_devkit)):
            if not (folder / file).exists():
                continue
            try:
                found = load(folder / file)
            except Exception as error:  # SciPy has its own for broken files
                report.wrong(
                    f'{folder / file} cannot be read ({error})',
                    'take the whole devkit: meta.mat beside it tells which '
                    'classes its numbers mean' if file == TRUTH else AGAIN)
                return None
            return {name: found.get(Path(name).stem) for name in names}
    if names:
        report.wrong('meta/val.txt is missing, and val has no folders of '
                     'classes', SOURCES)
    return None


def load_kaggle(path: Path) -> Dict[str, str]:
    """Read lines 'image,class box ...': image -> class."""
    with open(path, newline='', encoding='utf-8') as file:
        return {image: found.partition(' ')[0]
                for image, found in csv.reader(file)}


def load_devkit(path: Path) -> Dict[str, str]:
    """Read the number of each image and the classes: image -> class."""
    synsets = loadmat(path.with_name('meta.mat'), squeeze_me=True)['synsets']
    wnids = dict(zip(synsets['ILSVRC2012_ID'].tolist(),
                     synsets['WNID'].tolist()))
    numbers = path.read_text(encoding='utf-8').split()
    return {f'ILSVRC2012_val_{index:08d}': wnids[int(number)]
            for index, number in enumerate(numbers, 1)}
