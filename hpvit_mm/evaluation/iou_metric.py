"""Mean IoU, counted in one pass."""
from typing import Optional, Tuple

import torch
from mmseg.evaluation import IoUMetric
from torch import Tensor

from hpvit_mm.registry import METRICS

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
# A larger table of label pairs costs more than it saves.
MAX_PAIRS = 2**20
# The host counts in float32, which gets no further.
MAX_PIXELS = 2**24


@METRICS.register_module()
class FastIoUMetric(IoUMetric):
    """mmseg's IoUMetric with a faster count of pixels, and equal results.

    It takes mmseg's arguments, and gives what mmseg 1.2.2 and
    onedl-mmsegmentation 1.4.2 give: the sums are equal, and so are the
    metrics. The host selects the pixels that are not ignored, and makes three
    histograms of them; one table of label pairs has all three. ::

        val_evaluator = dict(
            type='hpvit_mm.FastIoUMetric', iou_metrics=['mIoU'])
    """

    @staticmethod
    def intersect_and_union(
            pred_label: Tensor, label: Tensor, num_classes: int,
            ignore_index: int) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        """Count the pixels of each class.

        Args:
            pred_label: Predicted classes, of shape (H, W).
            label: True classes, of the same shape. Outside of 0 to
                num_classes - 1 a label counts for no class, as it does in
                the host.
            num_classes: The number of classes.
            ignore_index: Pixels with this label are left out.

        Returns:
            Pixels in the intersection, in the union, in the prediction and
            in the truth: float32 on the CPU, of shape (num_classes, ).
        """
        pairs = count_pairs(pred_label, label, num_classes, ignore_index)
        if pairs is None:
            return IoUMetric.intersect_and_union(pred_label, label,
                                                 num_classes, ignore_index)
        intersect, pred, true = (
            one[:num_classes].float()
            for one in (pairs.diagonal(), pairs.sum(0), pairs.sum(1)))
        return intersect, pred + true - intersect, pred, true


def count_pairs(pred: Tensor, label: Tensor, num_classes: int,
                ignore_index: int) -> Optional[Tensor]:
    """How often each label is met by each prediction, ignored ones apart.

    Returns:
        Counts by label and prediction, int64 on the CPU, of shape (M, N),
        both at least num_classes; None for what the host had better count.
    """
    if (num_classes < 2 or pred.shape != label.shape
            or not 0 < pred.numel() <= MAX_PIXELS
            or pred.dtype not in INTEGERS or label.dtype not in INTEGERS
            or not isinstance(ignore_index, int)
            or not 0 <= ignore_index <= torch.iinfo(label.dtype).max):
        return None
    (first, last), (low, high) = pred.aminmax(), label.aminmax()
    columns, rows = (max(int(one) + 1, num_classes) for one in (last, high))
    if min(first, low) < 0 or rows * columns > MAX_PAIRS:
        return None
    joint = torch.add(pred.int(), label.int(), alpha=columns).flatten()
    pairs = torch.bincount(joint, minlength=rows * columns).view(
        rows, columns).cpu()
    pairs[ignore_index:ignore_index + 1] = 0
    return pairs
