"""Check that the data of a run is there, and agrees with the model."""
import copy
import os
from typing import Any, Iterator, List, Optional, Tuple

import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from torch import nn

from hpvit_mm.datasets.rules.folders import class_folders
from hpvit_mm.datasets.rules.images import check_depth, size_in_run
from hpvit_mm.datasets.rules.layouts import expected
from hpvit_mm.datasets.rules.problems import Fault, examine
from hpvit_mm.errors import UserError
from hpvit_mm.utils import shorten, type_name

from .build import building, classes_of, quiet
from .labels import check_labels, loader_of, refuse
from .parts import entries


def check_dataset(cfg: Config, loader: str, heads: List[Tuple[str, int]],
                  model: Optional[nn.Module] = None) -> None:
    """Check the data sets of one loader.

    Args:
        cfg: The config, inside of its default scope.
        loader: The name of the loader, such as 'train_dataloader'.
        heads: Names of the model's heads and their numbers of classes.
        model: The model without values, to compare the images with.
    """
    training = loader == 'train_dataloader'
    metrics = [one for _, one in metrics_of(cfg, loader)
               if not one.get('format_only')]
    for path, entry in leaves(cfg[loader].dataset, f'{loader}.dataset'):
        check_root(entry, path)
        dataset = build_lazily(entry, path)
        check_paths(dataset, path)
        classes = class_names(dataset, path)
        check_heads(heads, classes, path)
        check_evaluators(cfg, loader, dataset)
        if not is_local(dataset):
            check_agreement(cfg.get('train_dataloader'), 'train_dataloader',
                            dataset, path)
            continue
        number = len(classes) if classes else heads[0][1] if heads else None
        samples = check_labels(dataset, path, number, metrics, training,
                               model)
        check_agreement(cfg.get('train_dataloader'), 'train_dataloader',
                        dataset, path)
        if not classes:  # the annotation file may name them
            check_heads(heads, class_names(dataset, path), path)
        check_samples(dataset, path, samples, model)


def metrics_of(cfg: Config, loader: str) -> List[Tuple[str, dict]]:
    """The places and configs of the metrics of a loader's evaluator."""
    name = loader.replace('dataloader', 'evaluator')
    return list(entries(cfg, name)) if name != loader else []


def leaves(entry: dict, path: str) -> Iterator[Tuple[str, dict]]:
    """Yield the data sets inside wrappers such as RepeatDataset."""
    if 'dataset' in entry:
        yield from leaves(entry['dataset'], f'{path}.dataset')
    elif 'datasets' in entry:
        for index, inner in enumerate(entry['datasets']):
            yield from leaves(inner, f'{path}.datasets.{index}')
    else:
        yield path, entry


def is_local(entry: Any) -> bool:
    """Return whether the files are on a local file system."""
    backend = entry.get('backend_args') if isinstance(entry, dict) else \
        getattr(entry, 'backend_args', None)
    return not backend or backend.get('backend') == 'local'


def check_root(entry: dict, path: str) -> None:
    """Check that the folder of a data set exists."""
    root = entry.get('data_root')
    if root and is_local(entry) and '://' not in root \
            and not os.path.isdir(root):
        raise UserError(
            f'{path}.data_root: the folder {os.path.abspath(root)} does not '
            'exist; put the data there, link it there, or set data_root'
            # of its own: not the public data set
            + ('' if entry.get('metainfo') and entry.get('ann_file')
               else expected(type_name(entry), root)))


def build_lazily(entry: dict, path: str) -> Any:
    """Build a data set without its list of samples."""
    target = next((target for registry, target in classes_of(entry['type'])
                   if registry is DATASETS), None)
    check_choice(entry, target, path)
    entry = copy.deepcopy(entry)
    if target and issubclass(target, BaseDataset):
        entry['lazy_init'] = True
    with building(entry, path), quiet():
        return DATASETS.build(entry)


def check_choice(entry: dict, target: Any, path: str) -> None:
    """Check the classes of a data set of mmseg that has its own.

    It takes a subset of them, no others.
    """
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
    """Check that the annotation file and the folders exist."""
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
    """Check that a metric reads the annotation file of the data set.

    CocoMetric has an ``ann_file`` of its own. If it is not that of the data
    set, the run fails after the first validation.
    """
    for path, entry in metrics_of(cfg, loader):
        file, own = entry.get('ann_file'), getattr(dataset, 'ann_file', None)
        if not file or not own or not is_local(entry):
            continue
        remedy = f'set {path}.ann_file to {own}'
        if not os.path.isfile(file):
            raise UserError(f'{path}.ann_file: the file '
                            f'{os.path.abspath(file)} does not exist; '
                            + remedy)
        if not os.path.samefile(file, own):
            raise UserError(f'{path}.ann_file is {file}, but the data set of '
                            f'{loader} has another; {remedy}')


def check_agreement(train: Optional[dict], loader: str, dataset: Any,
                    path: str) -> None:
    """Check that classes have the numbers that they have in training.

    Args:
        train: Config of the loader of the training set, or of the bank of
            k-NN. Its first data set is the one to agree with.
        loader: Its name.
        dataset: A data set of training, validation or test.
        path: Its place.
    """
    if not train or not isinstance(dataset, BaseDataset):
        return
    place, entry = next(leaves(train['dataset'], f'{loader}.dataset'))
    if place == path:
        return
    root = entry.get('data_root')
    if root and not os.path.isdir(root):
        return  # a test may run where the training data are not
    trained = build_lazily(entry, place)
    if not isinstance(trained, BaseDataset):
        return
    pairs = [(one.metainfo.get('classes') or ()) for one in (trained, dataset)]
    kind = 'classes'
    folders = [getattr(one, 'img_prefix', '') for one in (trained, dataset)]
    if all(getattr(one, 'with_label', False) and not one.ann_file
           and os.path.isdir(folder)
           for one, folder in zip((trained, dataset), folders)):
        kind, pairs = 'class folders', [class_folders(one) for one in folders]
    ours, theirs = map(list, pairs)
    if ours != theirs and (kind == 'class folders'
                           or sorted(ours) == sorted(theirs)):
        raise UserError(
            f'the {kind} of {path} ({shorten(theirs)}) are not those of '
            f'{place} ({shorten(ours)}) in the same order, but classes are '
            'numbered by their place; give both the same')


def check_samples(dataset: Any, path: str, samples: List[dict],
                  model: Optional[nn.Module]) -> None:
    """Check that the pipeline prepares some samples for the model."""
    load = loader_of(dataset)

    def is_good(sample):
        try:
            return load(sample['img_path']) is not None
        except Fault:
            return False

    # A few damaged images are the business of --max-corrupt.
    good = [one for one in samples if os.path.isfile(one['img_path'])
            and is_good(one)]
    if samples and not good:
        raise UserError(
            f'{path}: {samples[0]["img_path"]} cannot be read as an image, '
            'nor can others; convert them to PNG, or restore them')
    samples, files = good, [one['img_path'] for one in good]
    refuse(examine(lambda file: check_depth(file, load), files,
                   'images looked at', paths=True), path)
    for index, sample in enumerate(samples):
        try:
            with quiet():
                found = dataset.pipeline(dict(copy.deepcopy(sample),
                                              sample_idx=index))
        except UserError:
            raise
        except Exception as error:
            text = ' '.join(str(error).split()) or 'no message'
            if 'inv_scale' in text or 'dsize.empty' in text:
                text = 'it would be resized to 0 pixels'
            size = '{} x {}'.format(*size_in_run(sample['img_path'], load))
            raise UserError(
                f'{path}.pipeline cannot prepare {sample["img_path"]} ({size} '
                f'pixels; {type(error).__name__}: {text[:200]}); correct '
                'the file or the pipeline, or take the file out') from error
        inputs = found.get('inputs') if isinstance(found, dict) else None
        if isinstance(inputs, torch.Tensor) and inputs.dim() == 3 and model:
            check_channels(model, inputs, sample['img_path'], path)


def check_channels(model: nn.Module, image: torch.Tensor, file: str,
                   path: str) -> None:
    """Check that images have the channels of the backbone.

    Args:
        model: The model without values.
        image: An image (C, H, W) of the pipeline.
        file: Its file.
        path: The place of the data set in the config.
    """
    first = next((one for one in getattr(model, 'backbone', nn.Module())
                  .modules() if isinstance(one, nn.Conv2d)), None)
    preprocessor = copy.deepcopy(getattr(model, 'data_preprocessor', None))
    if first is None or preprocessor is None:
        return
    try:
        channels = preprocessor.to('meta')(
            dict(inputs=[image]), training=False)['inputs'].shape[1]
    except Exception as error:  # some need more than images
        mean = getattr(preprocessor, 'mean', None)
        if mean is None or image.shape[0] in (1, mean.numel()):
            return  # only the run itself can tell
        raise UserError(
            f'{path}: {file} is loaded with {image.shape[0]} channels, but '
            f'model.data_preprocessor.mean has {mean.numel()} values; correct '
            'color_type of LoadImageFromFile, or mean, std and '
            'model.backbone.in_channels') from error
    if channels != first.in_channels:
        raise UserError(
            f'{path}: {file} comes to the model with {channels} channels, but '
            f'model.backbone takes {first.in_channels}; correct color_type of '
            'LoadImageFromFile (and mean and std of model.data_preprocessor), '
            'or model.backbone.in_channels')


def head_classes(model: nn.Module) -> List[Tuple[str, int]]:
    """Return the names and numbers of classes of a model's heads."""
    heads = [(name, getattr(module, 'num_classes', None))
             for name, module in model.named_modules()
             if name.rstrip('.0123456789').endswith('head')
             and not name.endswith('rpn_head')]
    return [(name, number) for name, number in heads
            if isinstance(number, int)]


def check_heads(heads: List[Tuple[str, int]], classes: Optional[tuple],
                path: str) -> None:
    """Check that the heads have as many classes as the data set."""
    for name, number in heads:
        if classes and number != len(classes):
            raise UserError(
                f'model.{name}.num_classes is {number}, but {path} has '
                f'{len(classes)} classes ({shorten(classes)}); set '
                f'num_classes to {len(classes)}, or the classes in '
                f'{path}.metainfo.classes')


def class_names(dataset: Any, path: str) -> Optional[tuple]:
    """Return the classes of a data set, None if only its files have them."""
    # a dataset of torch has none
    classes = getattr(dataset, 'metainfo', {}).get('classes')
    if isinstance(classes, str):
        raise UserError(f'{path}.metainfo.classes is the string {classes!r}; '
                        f'write a list: [{classes!r}]')
    return tuple(classes) if classes else None

