"""What mmseg does around the network when it tests."""
from functools import partial
from typing import Callable, List

import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from torch import Tensor, nn

from .timing import Options, Variant, check_same, compare

CLASSES = 150
SIZES = ((512, 512), (512, 683))


def run(options: Options) -> List[dict]:
    """Rows of counting pixels, and of labelling images by logits."""
    return run_metric(options) + run_labels(options)


def run_metric(options: Options, repeat: int = 4) -> List[dict]:
    """The counts for mIoU, of ``repeat`` images of each size."""
    from mmseg.evaluation import IoUMetric

    from hpvit_mm.evaluation.iou_metric import FastIoUMetric
    rows = []
    for size in SIZES:
        torch.manual_seed(0)
        # patches of 64 pixels, most of them recognised
        true = torch.randint(0, CLASSES, (8, 11)).repeat_interleave(
            64, 0).repeat_interleave(64, 1)[:size[0], :size[1]].contiguous()
        pred = torch.where(torch.rand(size) < 0.8, true,
                           torch.randint(0, CLASSES, size))
        true[:9] = 255  # ignored
        arguments = (pred.to(options.device), true.to(options.device),
                     CLASSES, 255)
        calls = [partial(kind.intersect_and_union, *arguments)
                 for kind in (IoUMetric, FastIoUMetric)]
        check_same(*(call() for call in calls))
        rows += compare(
            f'counts for mIoU, {CLASSES} classes, {size[0]} x {size[1]}, '
            f'{repeat} images',
            [Variant(name, partial(times, repeat, call), repeat)
             for name, call in zip(("mmseg's", 'ours'), calls)], options)
    return rows


def times(repeat: int, call: Callable) -> None:
    """Call several times: what is short is timed badly."""
    for _ in range(repeat):
        call()


class Logits(nn.Module):
    """In the place of a backbone, for a head that passes its output on."""

    def forward(self, x: Tensor) -> List[Tensor]:
        return [self.logits]


def run_labels(options: Options) -> List[dict]:
    """From a head's logits (1, 150, 128, 128) to the labels of an image."""
    slide = dict(mode='slide', crop_size=(512, 512), stride=(341, 341))
    rows = []
    for test_cfg, size, original, what in (
        (dict(mode='whole'), (512, 512), (512, 512), ''),
        (dict(mode='whole'), (512, 512), (480, 640), ', resized to 480 x 640'),
        (slide, (512, 683), (512, 683), ', of 2 windows'),
    ):
        calls = labellers(test_cfg, size, original, options.device)
        check_same(*(call() for call in calls))
        rows += compare(
            f'labels by the logits of {CLASSES} classes, '
            f'{size[0]} x {size[1]}{what}',
            [Variant(name, call, 1)
             for name, call in zip(("mmseg's", 'ours'), calls)], options)
    return rows


def labellers(test_cfg: dict, size: tuple, original: tuple,
              device: str) -> List[Callable[[], Tensor]]:
    """The host's segmentor and ours, on the same logits."""
    from mmseg.models import EncoderDecoder, FCNHead
    from mmseg.structures import SegDataSample

    from hpvit_mm.models.segmentors import FastEncoderDecoder
    head = dict(
        type=FCNHead, in_channels=1, channels=1, num_convs=0, in_index=0,
        concat_input=False, num_classes=CLASSES, norm_cfg=None,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', avg_non_ignore=True))
    torch.manual_seed(0)
    logits = torch.randn(1, CLASSES, 128, 128, device=device)
    inputs = torch.zeros(1, 3, *size, device=device)
    meta = dict(img_shape=size, ori_shape=original)

    @torch.no_grad()
    def label(model: EncoderDecoder) -> Tensor:
        sample, = model.predict(inputs, [SegDataSample(metainfo=meta)])
        return sample.pred_sem_seg.data

    calls = []
    for kind in (EncoderDecoder, FastEncoderDecoder):
        model = kind(backbone=dict(type=Logits), decode_head=dict(head),
                     test_cfg=ConfigDict(test_cfg)).eval()
        model.backbone.logits = logits
        model.decode_head.conv_seg = nn.Identity()
        calls.append(partial(label, model))
    return calls
