"""Images of classes: a folder per class, or a list of files and labels."""
import os
from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Tuple, Union

from hpvit_mm.utils import shorten

from .problems import Problem, some

# Folders that other programs leave behind.
STRAYS = ('__MACOSX', '__pycache__')
# Extensions of images that mmpretrain skips by default.
SKIPPED = {'.avif', '.gif', '.heic', '.jp2', '.tiff', '.webp'}


def class_folders(root: Union[str, Path]) -> List[str]:
    """The folders that mmpretrain takes for classes, in its order."""
    return sorted(one.name for one in os.scandir(root) if one.is_dir())


def problems(root: Union[str, Path], extensions: Sequence[str],
             classes: Optional[Sequence[str]] = None) -> Iterator[Problem]:
    """Find what gives images another class than they have, or none.

    Args:
        root: The folder with a folder per class.
        extensions: The file name extensions that the data set reads.
        classes: The class names of the config, if it has some.
    """
    folders = class_folders(root)
    if not folders:
        yield Problem(f'{root} holds no folders of images, one per class',
                      'correct data_prefix, or set ann_file to a list')
        return
    classes = [str(name) for name in classes or ()]
    strays = [name for name in folders if name not in classes
              and (name.startswith('.') or name in STRAYS)]
    if strays:
        yield Problem(f'{root} holds the folder {strays[0]}, which counts as '
                      'a class', 'delete it')
    ours, theirs = ([name.lower() for name in names]
                    for names in (classes, folders))
    if classes != folders and (
            sorted(classes) == folders
            or ours != theirs and sorted(ours) == sorted(theirs)):
        yield Problem(
            f'the classes ({shorten(classes)}) are in another order than the '
            f'folders of {root} ({shorten(folders)}), which are numbered in '
            'alphabetical order', 'list metainfo.classes in that order')
    read = f'*{shorten(sorted(extensions), 10, ", *")}'
    empty = 0
    for name in folders:
        folder, others = os.path.join(root, name), set()
        if next(files(folder, extensions, others), None):
            continue
        empty += 1
        if others & SKIPPED:
            other = min(others & SKIPPED)
            yield Problem(
                f'{folder} holds no images but *{other}, and read are {read}',
                'convert them to PNG' if other == '.gif' else
                f"add extensions=['{other}'] to the data set, or convert them "
                'to PNG')
            return
    if empty == len(folders):
        yield Problem(f'the folders of {root} hold no images ({read})',
                      'put images there, or correct data_prefix')


def files(folder: Union[str, Path], extensions: Sequence[str],
          others: Optional[set] = None) -> Iterator[str]:
    """The images in and below a folder; hidden files do not count.

    Args:
        folder: The folder.
        extensions: Of the images.
        others: Gets the extensions of files that do not count.
    """
    for place, _, names in os.walk(folder, followlinks=True):
        for name in sorted(names):
            if name.startswith('.'):
                continue
            if name.lower().endswith(tuple(extensions)):
                yield os.path.join(place, name)
            elif others is not None:
                others.add(os.path.splitext(name)[1].lower())


def read_list(path: Union[str, Path]) -> List[Tuple[str, str]]:
    """Read lines 'file label'; the label is '' where there is none."""
    with open(path, encoding='utf-8', errors='replace') as file:
        lines = [line.strip() for line in file]
    return [(name, label) if space else (label, '') for name, space, label in (
        line.rpartition(' ') for line in lines if line)]


def problems_of_list(path: Union[str, Path],
                     num_classes: Optional[int]) -> Iterator[Problem]:
    """Find lines without a label, or with one that is not a class.

    Args:
        path: The list.
        num_classes: The number of classes, None if unknown.
    """
    pairs = read_list(path)
    if not pairs:
        yield Problem(f'{path} is empty', 'correct ann_file')
    wrong = [(name, label or 'none') for name, label in pairs
             if not label.isdecimal()
             or num_classes and int(label) >= num_classes]
    allowed = f'0 to {num_classes - 1}' if num_classes else 'a whole number'
    yield from some(wrong, len(pairs), f'lines of {path}',
                    f'have a label that is not {allowed}', 'correct them, or '
                    'metainfo.classes and num_classes')
