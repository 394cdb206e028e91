"""Data pipelines in images per second and core, beside the hosts' own.

The hosts' pipelines are ours with the hosts' types. Both get the same
pictures and seeds, and must give the same samples.
"""
import pickle
import random
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import cv2
import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement
from torch.utils.data import DataLoader

from hpvit_mm.engine.settings import load_config
from hpvit_mm.errors import UserError

from .photographs import make_photographs
from .timing import Options, Variant, compare

CONFIGS = Path(__file__).resolve().parents[3] / 'configs/_base_/datasets'
# Config -> host, pictures, and how many images a round has.
CASES = {
    'imagenet_224': ('mmpretrain', 'imagenet', 64),
    'coco_lsj-1024': ('mmdet', 'coco', 32),
    'coco_ms-800': ('mmdet', 'coco', 32),
    'ade20k_512x512': ('mmseg', 'ade20k', 32),
    'cityscapes_512x1024': ('mmseg', 'cityscapes', 4),
}
# Our types that do what a type of the host's does.
HOSTS = {
    'hpvit_mm.FastRandomResizedCrop': 'RandomResizedCrop',
    'hpvit_mm.FastDetLoadAnnotations': 'LoadAnnotations',
    'hpvit_mm.FastDetRandomFlip': 'RandomFlip',
    'hpvit_mm.FastPackDetInputs': 'PackDetInputs',
    'hpvit_mm.FastSegRandomCrop': 'RandomCrop',
    'hpvit_mm.FastSegPhotoMetricDistortion': 'PhotoMetricDistortion',
    'hpvit_mm.FastPackSegInputs': 'PackSegInputs',
}


def run(options: Options) -> List[dict]:
    cv2.setNumThreads(0)  # as in the workers of a run
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        pictures = make_photographs(Path(folder))
        for name, (host, kind, images) in CASES.items():
            for mode in ('train', 'test'):
                rows += _compare(f'{name}, {mode}', Pipelines(name, mode),
                                 pictures[kind], images, options)
        city = Pipelines('cityscapes_512x1024', 'train')
        check_samples(city.ours, city.theirs, pictures['cityscapes-bmp'], 4)
        rows += compare('cityscapes_512x1024, train, ours', [
            Variant('of PNG', lambda: pass_through(
                city.ours, pictures['cityscapes'], 4), 4),
            Variant('of BMP', lambda: pass_through(
                city.ours, pictures['cityscapes-bmp'], 4), 4)], options)
        rows += _hand_over(Pipelines('coco_lsj-1024', 'train'),
                           pictures['coco'], options)
    return rows


class Pipelines:
    """A pipeline of a config, and the same of the host's types.

    Args:
        name: Of the file in ``configs/_base_/datasets``, a key of
            :data:`CASES`.
        mode: 'train' or 'test'.

    Attributes:
        ours, theirs: The pipelines.
        equal: Whether there is no type of ours in it.
    """

    def __init__(self, name: str, mode: str) -> None:
        cfg = load_config(str(CONFIGS / f'{name}.py'))
        ours = cfg.to_dict()[f'{mode}_pipeline']
        theirs = of_the_host(ours)
        self.equal = ours == theirs
        with DefaultScope.overwrite_default_scope(CASES[name][0]):
            self.ours, self.theirs = Compose(ours), Compose(theirs)


def of_the_host(node: Any) -> Any:
    """A part of a pipeline, of the host's types alone."""
    if isinstance(node, (list, tuple)):
        return type(node)(of_the_host(one) for one in node)
    if not isinstance(node, dict):
        return node
    return {key: HOSTS.get(value, value) if key == 'type' else
            of_the_host(value)
            for key, value in node.items() if key != 'draw_masks'}


def pass_through(pipeline: Callable, items: List[dict], images: int,
                 use: Optional[Callable] = None) -> None:
    """Put images through a pipeline, with the same random numbers each time.

    Args:
        pipeline: What they go through.
        items: What the first transform gets; over again if there are fewer.
        images: How many.
        use: Called with each result.
    """
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(0)
    stored = [pickle.dumps(item) for item in items]
    for i in range(images):
        # mmengine's data sets keep their items like this
        result = pipeline(pickle.loads(stored[i % len(items)]))
        if use:
            use(result)


def check_samples(ours: Callable, theirs: Callable, items: List[dict],
                  images: int) -> None:
    """Both must give the same samples, in values and types of numbers.

    Raises:
        UserError: If a sample differs.
    """
    found = []
    pass_through(theirs, items, images, found.append)
    left = iter(found)

    def check(sample):
        other = next(left)
        where = difference(sample, other)
        if where is not None:
            raise UserError(f'the pipelines differ in {where}: their times '
                            'cannot be compared')

    pass_through(ours, items, images, check)


def difference(one: Any, other: Any, where: str = 'the sample'
               ) -> Optional[str]:
    """Where two samples differ, None if nowhere."""
    if isinstance(one, BaseDataElement):
        one = dict(one.all_items(), keys=sorted(one.keys()))
        other = dict(other.all_items(), keys=sorted(other.keys()))
    if isinstance(one, dict):
        if not isinstance(other, dict) or one.keys() != other.keys():
            return f'the keys of {where}'
        inner = (difference(one[key], other[key], f'{where}.{key}')
                 for key in one)
        return next((found for found in inner if found), None)
    for name in ('masks', 'tensor'):  # masks and boxes of mmdet
        if hasattr(one, name):
            return difference(getattr(one, name), getattr(other, name), where)
    if isinstance(one, torch.Tensor):
        same = one.dtype == other.dtype and torch.equal(one, other)
    elif isinstance(one, np.ndarray):
        same = one.dtype == other.dtype and np.array_equal(one, other)
    else:
        same = one == other
    return None if same else where


def shares(pipeline: Compose, items: List[dict], images: int
           ) -> Dict[str, float]:
    """Milliseconds per image of each type of a pipeline, longest first."""
    spent: Dict[str, float] = defaultdict(float)

    def walk(results):
        for transform in pipeline.transforms:
            if results is None:
                return
            start = time.process_time_ns()
            results = transform(results)
            spent[type(transform).__name__] += time.process_time_ns() - start

    pass_through(walk, items, images)
    return {name: spent[name] / images / 1e6
            for name in sorted(spent, key=spent.get, reverse=True)}


def _compare(title, pipelines, items, images, options):
    """Check and time a pair of pipelines, and tell where ours spends time."""
    variants = [Variant('ours', lambda: pass_through(
        pipelines.ours, items, images), images)]
    if not pipelines.equal:
        check_samples(pipelines.ours, pipelines.theirs, items, images)
        variants.insert(0, Variant("of the host's types", lambda: pass_through(
            pipelines.theirs, items, images), images))
    rows = compare(title, variants, options)
    rows[-1]['shares'] = shares(pipelines.ours, items, images)
    whole = sum(rows[-1]['shares'].values())
    print('  ours: ' + ', '.join(
        f'{name} {spent / whole:.0%}'
        for name, spent in list(rows[-1]['shares'].items())[:5]))
    return rows


def _hand_over(pipelines, items, options, images=16):
    """What the training process spends to get samples from a worker."""

    def receive(loader):
        for batch in loader:
            for sample in batch['data_samples']:
                # a byte of each page of memory, to have it all here
                sample.gt_instances.masks.masks.reshape(-1)[::4096].sum()

    variants = []
    for name, pipeline in (("of the host's types", pipelines.theirs),
                           ('ours', pipelines.ours)):
        samples = []
        pass_through(pipeline, items, images, samples.append)
        loader = DataLoader(samples, batch_size=2, num_workers=1,
                            collate_fn=pseudo_collate,
                            persistent_workers=True)
        variants.append(Variant(
            name, lambda loader=loader: receive(loader), images))
    return compare('coco_lsj-1024, train: the training process receives',
                   variants, options)
