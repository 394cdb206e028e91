"""Whether the data of a run is there, with the classes it should have."""
import copy
import os
from typing import Any, Iterator, List, Optional, Tuple

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from torch import nn

from hpvit_mm.datasets.prepare import expected
from hpvit_mm.errors import UserError
from hpvit_mm.utils import shorten

from .build import building, classes_of, quiet
from .labels import check_labels
from .parts import entries


def check_dataset(cfg: Config, loader: str,
                  heads: List[Tuple[str, int]]) -> None:
    """Check the data sets of one loader.

    Args:
        cfg: The config, inside of its default scope.
        loader: The name of the loader, such as 'train_dataloader'.
        heads: Names of the model's heads and their numbers of classes.
    """
    for path, entry in leaves(cfg[loader].dataset, f'{loader}.dataset'):
        check_root(entry, path)
        dataset = build_lazily(entry, path)
        check_paths(dataset, path)
        classes = class_names(dataset, path)
        check_heads(heads, classes, path)
        number = len(classes) if classes else heads[0][1] if heads else None
        check_labels(dataset, path, number)
        check_evaluators(cfg, loader, dataset)


def leaves(entry: dict, path: str) -> Iterator[Tuple[str, dict]]:
    """The data sets inside wrappers such as RepeatDataset."""
    if 'dataset' in entry:
        yield from leaves(entry['dataset'], f'{path}.dataset')
    elif 'datasets' in entry:
        for index, inner in enumerate(entry['datasets']):
            yield from leaves(inner, f'{path}.datasets.{index}')
    else:
        yield path, entry


def is_local(entry: Any) -> bool:
    """Whether files are on this machine's file system."""
    backend = entry.get('backend_args') if isinstance(entry, dict) else \
        getattr(entry, 'backend_args', None)
    return not backend or backend.get('backend') == 'local'


def check_root(entry: dict, path: str) -> None:
    """The folder of the data set must exist."""
    root = entry.get('data_root')
    if root and is_local(entry) and '://' not in root \
            and not os.path.isdir(root):
        kind = entry.get('type', '')
        name = getattr(kind, '__name__', kind).rpartition('.')[2]
        raise UserError(
            f'{path}.data_root: the folder {os.path.abspath(root)} does not '
            'exist; put the data there, link it there, or set data_root'
            + expected(name, root))


def build_lazily(entry: dict, path: str) -> Any:
    """The data set without its list of samples."""
    target = next((target for registry, target in classes_of(entry['type'])
                   if registry is DATASETS), None)
    check_choice(entry, target, path)
    entry = copy.deepcopy(entry)
    if target and issubclass(target, BaseDataset):
        entry['lazy_init'] = True
    with building(entry, path), quiet():
        return DATASETS.build(entry)


def check_choice(entry: dict, target: Any, path: str) -> None:
    """mmseg's data sets take a choice of their own classes, no others."""
    own = getattr(target, 'METAINFO', {}).get('classes')
    classes = (entry.get('metainfo') or {}).get('classes')
    if not hasattr(target, 'get_label_map') or not own or not classes:
        return
    absent = [name for name in classes if name not in own]
    if absent:
        raise UserError(
            f'{path}.metainfo.classes: {shorten(absent)} not among the '
            f'{len(own)} classes of {target.__name__}; use type='
            'BaseSegDataset, with img_suffix and seg_map_suffix, for classes '
            'of your own')


def check_paths(dataset: Any, path: str) -> None:
    """The annotation file and the folders of a data set must exist."""
    if not is_local(dataset):
        return
    places = {'ann_file': getattr(dataset, 'ann_file', None)}
    prefixes = getattr(dataset, 'data_prefix', None)
    if isinstance(prefixes, dict):
        places.update({f'data_prefix.{key}': place
                       for key, place in prefixes.items()})
    for key, place in places.items():
        if isinstance(place, str) and place and '://' not in place \
                and not os.path.exists(place):
            kind = 'file' if key == 'ann_file' else 'folder'
            raise UserError(
                f'{path}.{key}: the {kind} {os.path.abspath(place)} does not '
                f'exist; put the data there, or correct {key} or data_root'
                + expected(type(dataset).__name__,
                           getattr(dataset, 'data_root', '')))


def check_evaluators(cfg: Config, loader: str, dataset: Any) -> None:
    """A metric with an annotation file of its own must have the same one.

    COCO's has; who changes the data set's alone learns it after the first
    validation.
    """
    name = loader.replace('dataloader', 'evaluator')
    for path, entry in entries(cfg, name):
        file = entry.get('ann_file')
        if not file or not is_local(entry):
            continue
        remedy = f'set {path}.ann_file to {dataset.ann_file}'
        if not os.path.isfile(file):
            raise UserError(f'{path}.ann_file: the file '
                            f'{os.path.abspath(file)} does not exist; '
                            + remedy)
        if not os.path.samefile(file, dataset.ann_file):
            raise UserError(f'{path}.ann_file is {file}, but the data set of '
                            f'{loader} has another; {remedy}')


def head_classes(model: nn.Module) -> List[Tuple[str, int]]:
    """The heads of a model and how many classes each tells apart."""
    heads = [(name, getattr(module, 'num_classes', None))
             for name, module in model.named_modules()
             if name.rstrip('.0123456789').endswith('head')
             and not name.endswith('rpn_head')]
    return [(name, number) for name, number in heads
            if isinstance(number, int)]


def check_heads(heads: List[Tuple[str, int]], classes: Optional[tuple],
                path: str) -> None:
    """The heads must have as many classes as the data set."""
    for name, number in heads:
        if classes and number != len(classes):
            raise UserError(
                f'model.{name}.num_classes is {number}, but {path} has '
                f'{len(classes)} classes ({shorten(classes)}); set '
                f'num_classes to {len(classes)}, or the classes in '
                f'{path}.metainfo.classes')


def class_names(dataset: Any, path: str) -> Optional[tuple]:
    """The class list of a data set, None where only its files know it."""
    classes = dataset.metainfo.get('classes')
    if isinstance(classes, str):
        raise UserError(f'{path}.metainfo.classes is the string {classes!r}; '
                        f'write a list: [{classes!r}]')
    return tuple(classes) if classes else None

