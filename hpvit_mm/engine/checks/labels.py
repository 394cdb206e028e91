"""Check the files of a data set by the rules for its kind.

A label outside of the classes crashes a GPU in the middle of an epoch, or is
ignored without a word. The files are read directly, which takes seconds; the
data set itself is built by the run a moment later.
"""
import json
import os
import sys
import tempfile
from itertools import islice
from typing import Any, Callable, Iterable, List, Optional

import numpy as np
from mmengine.dataset import BaseDataset
from torch import nn

from hpvit_mm.datasets.rules import coco, folders
from hpvit_mm.datasets.rules.images import (AS_STORED, Size, check_size,
                                            decode, header, is_rotated)
from hpvit_mm.datasets.rules.label_maps import check_ids, ids_in, read_labels
from hpvit_mm.datasets.rules.problems import (HEADERS, SAMPLE, Fault, Problem,
                                              evenly, examine, in_threads,
                                              some)
from hpvit_mm.errors import UserError
from hpvit_mm.utils import shorten

WITHOUT_LABELS = 'how to predict without labels is in docs/own_data.md'


def refuse(problems: Iterable[Problem], path: str) -> None:
    """Raise the first problem of a data set.

    Args:
        problems: The problems.
        path: The place of the data set, or of one of its keys, in the config.
    """
    for what, remedy in problems:
        raise UserError(f'{path}: {what}; {remedy}')


def transforms_of(dataset: Any) -> list:
    """Return the transforms of a data set's pipeline."""
    return list(getattr(getattr(dataset, 'pipeline', None), 'transforms', ()))


def loader_of(dataset: Any) -> Callable[[str], np.ndarray]:
    """Return a function that decodes an image as the pipeline does."""
    def load(file):
        try:
            return transforms_of(dataset)[0](dict(img_path=str(file)))['img']
        except Exception:  # the pipeline begins with something else
            return decode(file)

    return load


def check_labels(dataset: Any, path: str, num_classes: Optional[int],
                 metrics: List[dict], training: bool,
                 model: Optional[nn.Module] = None) -> List[dict]:
    """Check the labels of a data set.

    Args:
        dataset: A data set, built lazily.
        path: Its place in the config.
        num_classes: The number of classes, None if unknown.
        metrics: The configs of the metrics that need its labels.
        training: Whether the model learns from it.
        model: The model, for the id that its heads ignore.

    Returns:
        Some samples, as the pipeline gets them: most images and labels of a
        small set, a few of a large one.
    """
    if hasattr(dataset, 'COCOAPI'):
        return check_coco(dataset, path, metrics, training)
    if hasattr(dataset, 'label_map'):
        return check_label_maps(dataset, path, num_classes, metrics, training,
                                ignored_ids(dataset, model))
    if hasattr(dataset, 'with_label') and hasattr(dataset, 'img_prefix'):
        # mmpretrain's self-supervised models learn without labels
        learns = training and not hasattr(model, 'target_generator')
        return check_classification(dataset, path, num_classes,
                                    learns or bool(metrics))
    if isinstance(dataset, BaseDataset):
        check_samples_of(dataset, path, num_classes, training or metrics)
    return []


def check_samples_of(dataset: BaseDataset, path: str,
                     num_classes: Optional[int], labelled: bool) -> None:
    """Check the labels of a data set of another format, which it reads."""
    try:
        samples = dataset.load_data_list()
    except Exception:  # the run itself will tell
        return
    if num_classes is None:  # the file may name them
        num_classes = len(dataset.metainfo.get('classes') or ()) or None
    wrong, objects = [], []
    for sample in samples:
        inside = [one.get('bbox_label') for one in sample.get('instances', ())
                  if not one.get('ignore_flag')]
        objects += inside
        for label in (*inside, *np.ravel(sample.get('gt_label', []))):
            if isinstance(label, (int, np.integer)) and num_classes \
                    and not 0 <= label < num_classes:
                wrong.append((str(sample.get('img_path')), str(label)))
    refuse(some(wrong, len(samples), 'samples', 'have a label that is not 0 '
                f'to {(num_classes or 0) - 1}', 'correct them, or '
                'metainfo.classes and num_classes'), path)
    if labelled and not objects and any('instances' in one for one in samples):
        raise UserError(f'{path} has no object of any class; correct '
                        'metainfo.classes, or give objects to find')


def check_image(file: str, path: str) -> None:
    """Check that the first image exists, and so the right folder."""
    if not os.path.isfile(file):
        raise UserError(f'{path}.data_prefix: the image {file} does not '
                        'exist; correct data_prefix, or put the images there')


# -------------------------------------------------------------- detection


@coco.uncollected()
def check_coco(dataset: Any, path: str, metrics: List[dict],
               training: bool) -> List[dict]:
    """Check an annotation file, and the sizes of its images."""
    file = dataset.ann_file
    place = f'{path}.ann_file'
    try:
        content = coco.load(file)
    except Fault as fault:
        raise UserError(f'{place}: {file} {fault.what} ({fault.detail}); '
                        'correct ann_file') from fault
    if not is_plain(dataset):  # LVIS, panoptic: other keys
        return []
    names = {name for one in metrics if one.get('ann_file')
             for name in np.atleast_1d(one.get('metric', 'bbox'))}
    refuse(coco.problems(content, file, coco.Use(
        classes=dataset.metainfo['classes'], training=training,
        masks=any(getattr(one, 'with_mask', False)
                  for one in transforms_of(dataset)),
        metrics=names & {'bbox', 'segm'}, filter_cfg=dataset.filter_cfg)),
        place)
    for what, remedy in coco.boxes_beyond(content, file):
        print(f'warning: {place}: {what}; {remedy}', file=sys.stderr,
              flush=True)
    folder = dataset.data_prefix.get('img') or ''
    files = {os.path.join(folder, one['file_name']): one
             for one in content['images']}
    check_image(next(iter(files)), path)
    looked = [one for one in evenly(list(files), HEADERS)
              if os.path.isfile(one)]
    check_sizes(dataset, looked, place, lambda name: (
        files[name]['width'], files[name]['height']))
    chosen = [files[one]['id'] for one in few(looked)]
    return samples_of(dataset, content, set(chosen))


def is_plain(dataset: Any) -> bool:
    """Return whether a data set reads its file as ``CocoDataset`` does."""
    return all(getattr(type(dataset), name).__qualname__.startswith(
        'CocoDataset.') for name in ('load_data_list', 'parse_data_info'))


def check_sizes(dataset: Any, files: List[str], place: str,
                size_of: Callable[[str], Size]) -> None:
    """Check that images have the sizes of the annotation file."""
    load = loader_of(dataset)

    def work(file):
        try:
            check_size(file, size_of(file), file, load)
        except Fault as fault:
            if 'another size' in fault.what:  # damaged ones stop the run
                raise

    refuse(examine(work, files, 'images looked at', paths=True), place)
    warn_of_rotated(files, load, place)


def warn_of_rotated(files: List[str], load: Callable, place: str) -> None:
    """Warn of images that are rotated, if no size shows whether that fits."""
    def ambiguous(file):
        try:
            (width, height), orientation = header(file)
        except Fault:
            return False
        return orientation in (2, 3, 4) or orientation > 4 and width == height

    found = [file for file, yes in zip(files, in_threads(
        ambiguous, files, place)) if yes]
    if found and is_rotated(found[0], load):
        print(f'warning: {place}: {len(found):,} of {len(files):,} images '
              'looked at are rotated or mirrored on loading, by their EXIF '
              f'orientation, first {found[0]} ({header(found[0])[1]}); the '
              f'annotations must be of the rotated images; {AS_STORED}',
              file=sys.stderr, flush=True)


def samples_of(dataset: Any, content: dict, chosen: set) -> List[dict]:
    """Return some samples of an annotation file, parsed by the data set."""
    part = dict(content, images=[
        one for one in content['images'] if one['id'] in chosen])
    part['annotations'] = [one for one in content.get('annotations', ())
                           if one['image_id'] in chosen]
    file = dataset.ann_file
    with tempfile.TemporaryDirectory() as folder:
        dataset.ann_file = os.path.join(folder, 'part.json')
        with open(dataset.ann_file, 'w', encoding='utf-8') as stream:
            json.dump(part, stream)
        try:
            return dataset.load_data_list()
        finally:
            dataset.ann_file = file


def few(files: List[str]) -> List[str]:
    """Choose a few images, the widest and the highest among them."""
    ratios = {}
    for file in files:
        try:
            (width, height), _ = header(file)
        except Fault:
            continue
        ratios[file] = width / height
    if not ratios:
        return files[:1]
    return list(dict.fromkeys([
        *evenly(list(ratios), 6), min(ratios, key=ratios.get),
        max(ratios, key=ratios.get)]))


# --------------------------------------------------------- classification


def check_classification(dataset: Any, path: str, num_classes: Optional[int],
                         labelled: bool) -> List[dict]:
    """Check a list of images, or a folder of images per class."""
    if not dataset.with_label:
        if labelled:
            raise UserError(f'{path} has no labels (with_label is False), '
                            f'which this run needs; {WITHOUT_LABELS}')
        return []
    if dataset.ann_file:
        refuse(folders.problems_of_list(dataset.ann_file, num_classes),
               f'{path}.ann_file')
        pairs = folders.read_list(dataset.ann_file)
        files = [(os.path.join(dataset.img_prefix, name), int(label))
                 for name, label in pairs]
        check_image(files[0][0], path)
    else:
        root, classes = dataset.img_prefix, dataset.metainfo.get('classes')
        found = folders.class_folders(root)
        refuse(folders.problems(root, dataset.extensions, classes),
               f'{path}.data_prefix')
        if num_classes and num_classes != len(found):
            raise UserError(
                f'{path}: {num_classes} classes are expected, but {root} '
                f'holds {len(found)} folders ({shorten(found, 10)}); list one '
                'class per folder, in that order, in metainfo.classes, and '
                'set num_classes')
        files = [(file, label) for label, name in evenly(
            list(enumerate(found)), 6) for file in islice(folders.files(
                os.path.join(root, name), dataset.extensions), SAMPLE)]
    label_of = dict(evenly(files, HEADERS))
    return [dict(img_path=file, gt_label=label_of[file])
            for file in few(list(label_of))]


# ----------------------------------------------------------- segmentation


def ignored_ids(dataset: Any, model: Optional[nn.Module]) -> set:
    """Return the ids that the heads ignore."""
    found = {one.ignore_index for one in model.modules()
             if isinstance(getattr(one, 'ignore_index', None), int)
             and hasattr(one, 'num_classes')} if model else set()
    return found or {255, dataset.ignore_index}


def final_id(dataset: Any) -> Callable[[int], int]:
    """Return a function: id in a file -> id after loading."""
    tables = [one for one in (
        dataset.label_map, *(getattr(one, 'mapping', None)
                             for one in transforms_of(dataset)
                             if type(one).__name__ == 'MapLabels')) if one]

    def final(number):
        if dataset.reduce_zero_label:
            number = 255 if number in (0, 255) else number - 1
        for table in tables:
            number = table.get(number, number)
        return number

    return final


def check_label_maps(dataset: Any, path: str, num_classes: Optional[int],
                     metrics: List[dict], training: bool,
                     ignored: set) -> List[dict]:
    """Check the ids and sizes of label maps."""
    samples = dataset.load_data_list()
    if not samples:
        folder = dataset.data_prefix['img_path']
        others = sorted({os.path.splitext(name)[1]
                         for _, _, names in os.walk(folder) for name in names})
        raise UserError(
            f'{path}.data_prefix: there are no images *{dataset.img_suffix} '
            f'in {folder}' + (f', which holds *{shorten(others, sep=", *")}'
                              if others else '')
            + '; correct data_prefix or img_suffix')
    check_image(samples[0]['img_path'], path)
    looked = {one['img_path']: one for one in evenly(samples, HEADERS)}
    if 'seg_map_path' not in samples[0]:
        if training or metrics or any(
                getattr(one, 'with_seg', False)
                for one in transforms_of(dataset)):
            raise UserError(
                f'{path}: there are no label maps '
                '(data_prefix.seg_map_path), which this run needs; '
                + WITHOUT_LABELS)
    elif num_classes:
        check_maps(dataset, path, evenly(samples), num_classes, metrics,
                   training, ignored)
        load = loader_of(dataset)
        warn_of_rotated(list(looked), load, path)
    return [looked[file] for file in few(list(looked))]


def check_maps(dataset: Any, path: str, samples: List[dict],
               num_classes: int, metrics: List[dict], training: bool,
               ignored: set) -> None:
    """Check some label maps."""
    load, final = loader_of(dataset), final_id(dataset)
    reader = next((one for one in transforms_of(dataset)
                   if hasattr(one, 'with_seg')), None)
    if not type(reader).__module__.startswith(('mmseg.', 'mmcv.')):
        return  # the user's own reads other files
    wanted = {*range(num_classes), *ignored}
    allowed = {number for number in range(256) if final(number) in wanted}
    classes = [number for number in range(256)
               if final(number) in range(num_classes)]
    words = f'{classes[0]} to {classes[-1]}' if classes == list(
        range(classes[0], classes[-1] + 1)) else shorten(classes, 10)
    rest = shorten(sorted(allowed - set(classes)), 10)
    seen = set()

    def remedy(strange):
        if max(strange, default=0) > 255:
            return 'save label maps with ids of 8 bits'
        return 'map ids on loading, such as ' + map_labels(
            final(min(strange, default=0)), 255)

    def work(sample):
        file = sample['seg_map_path']
        found = ids_in(read_labels(file, sample['img_path'], load,
                                   reader.imdecode_backend))
        check_ids(
            file, found, allowed,
            f'{words} (the {num_classes} classes) and {rest} (ignored; '
            f'reduce_zero_label is {dataset.reduce_zero_label})',
            'correct num_classes or reduce_zero_label, or '
            + remedy(found - allowed))
        seen.update(found)

    refuse(examine(work, samples, 'label maps looked at', paths=True), path)
    loaded = {final(number) for number in seen}
    check_ignored(path, loaded - set(range(num_classes)), metrics)
    learnt = loaded & set(range(num_classes))
    if len(learnt) < min(2, num_classes) and (training or len(seen) > 1):
        text = (f'{path}: the label maps looked at hold only the ids '
                f'{shorten(sorted(seen), 10)}, of which '
                f'{"one is a class" if learnt else "none is a class"} after '
                f'loading (reduce_zero_label is {dataset.reduce_zero_label});'
                ' if others are classes, '
                + ('set reduce_zero_label=False, and '
                   if dataset.reduce_zero_label else '')
                + 'map them on loading, such as ' + map_labels(255, 1))
        if training:
            raise UserError(text)
        print(f'warning: {text}', file=sys.stderr, flush=True)


def check_ignored(path: str, others: set, metrics: List[dict]) -> None:
    """Check that mIoU ignores the labels of no class.

    Args:
        path: The place of the data set.
        others: Labels outside of the classes.
        metrics: The configs of the metrics.
    """
    evaluator = path.split('.')[0].replace('dataloader', 'evaluator')
    for metric in metrics:
        ignored = metric.get('ignore_index', 255)
        counted = shorten(sorted(others - {ignored}))
        if metric.get('type') == 'IoUMetric' and counted:
            raise UserError(
                f'ignore_index of IoUMetric in {evaluator} is {ignored}, but '
                f'the label maps of {path} hold {counted}, which is no class; '
                'set it to that, as in the heads, or map such ids to 255 on '
                'loading')


def map_labels(old: int, new: int) -> str:
    """Say how to map an id."""
    return f"dict(type='hpvit_mm.MapLabels', mapping={{{old}: {new}}}) " \
        'behind LoadAnnotations'
