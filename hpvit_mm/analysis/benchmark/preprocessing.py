"""The data preprocessors of the three libraries."""
from functools import partial
from typing import List, Union

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


def run(options: Options) -> List[dict]:
    """Rows of batches in uint8, of each library with its loader's form."""
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
            rows += compare(
                f"{library}'s data preprocessor, {repeat} x {title}",
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
