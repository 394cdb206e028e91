"""The data preprocessors of the three libraries."""
import multiprocessing
import os
import platform
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, Callable, List, Union
from unittest import mock

import torch
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import MODELS
from torch import Tensor

from .timing import Options, Variant, check_same, compare

NORM = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
MIXED = [(512, 512), (512, 341), (400, 512), (512, 384), (333, 512),
         (512, 512), (480, 500), (400, 333)]
# Name -> heights and widths, and how many batches a call takes.
BATCHES = {
    '8 images, 512 x 512': ([(512, 512)] * 8, 1),
    '8 images, 400 x 333 to 512 x 512': (MIXED, 1),
    '8 images, 224 x 224': ([(224, 224)] * 8, 4),
}
# Where a batch on the CPU lies -> the bytes from which on memory is mapped
# anew for each tensor, instead of taken from what was freed. Left alone, glibc
# does either, by what happens to be free, and new memory takes twice the time.
MEMORY = {'reused memory': 2**40, 'new memory': 2**20}
# So many ends of freed blocks it keeps apart before it joins what is free.
SETTLED = 8


def run(options: Options) -> List[dict]:
    """The rows, in memory of each kind where it can be chosen."""
    if options.device == 'cuda' or platform.libc_ver()[0] != 'glibc':
        return run_in('', options)
    return [row for memory, size in MEMORY.items()
            for row in map_from(size, run_in, f', {memory}', options)]


def map_from(size: int, call: Callable, *arguments: Any) -> Any:
    """What a call returns, in a process with memory of one of the kinds."""
    # glibc reads them when a process starts
    chosen = dict(MALLOC_MMAP_THRESHOLD_=str(size),
                  MALLOC_TRIM_THRESHOLD_=str(2**40))
    with mock.patch.dict(os.environ, chosen), ProcessPoolExecutor(
            1, multiprocessing.get_context('spawn')) as process:
        return process.submit(call, *arguments).result()


def run_in(memory: str, options: Options) -> List[dict]:
    """Rows of batches in uint8, of each library with its loader's form.

    Args:
        memory: Of which kind it is: the end of the titles.
        options: How to measure.
    """
    if options.device == 'cpu':
        torch.set_num_threads(1)  # a new process has all
    from mmdet.structures import DetDataSample
    from mmpretrain.structures import DataSample
    from mmseg.structures import SegDataSample
    libraries = (
        ('mmpretrain', 'ClsDataPreprocessor', DataSample, dict(to_rgb=True),
         {'128 images, 224 x 224': ([(224, 224)] * 128, 1)}),
        ('mmdet', 'DetDataPreprocessor', DetDataSample,
         dict(bgr_to_rgb=True, pad_size_divisor=32), {}),
        ('mmseg', 'SegDataPreProcessor', SegDataSample,
         dict(bgr_to_rgb=True, size=(512, 512)), {}),
    )
    rows = []
    for library, name, sample, arguments, more in libraries:
        for title, (sizes, repeat) in {**BATCHES, **more}.items():
            if library == 'mmseg':
                arguments.update(size=sizes[0])
            torch.manual_seed(0)
            images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8)
                      for size in sizes]
            if library == 'mmpretrain' and len(set(sizes)) == 1:
                images = torch.stack(images)
            calls = [partial(
                batches, MODELS.build(dict(type=kind, **NORM, **arguments)).to(
                    options.device), images, sample, repeat)
                for kind in (f'{library}.{name}', f'hpvit_mm.Fast{name}')]
            check_same(*(call() for call in calls))
            for call in calls * SETTLED:
                call()
            rows += compare(
                f"{library}'s data preprocessor, {repeat} x {title}{memory}",
                [Variant(text, call, repeat * len(images))
                 for text, call in zip((f"{library}'s", 'ours'), calls)],
                options)
    return rows


def batches(model: BaseDataPreprocessor, images: Union[Tensor, List[Tensor]],
            sample: type, repeat: int) -> Tensor:
    """Preprocess the images, several times; what comes out last."""
    for _ in range(repeat):
        data = model(dict(inputs=images,
                          data_samples=[sample() for _ in images]), True)
    return data['inputs']
