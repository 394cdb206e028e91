"""From logits to labels without the logits of all classes at full size."""
from functools import partial
from itertools import product
from typing import Callable, Iterable, List, Optional, Sequence, Tuple

import torch
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder, SegTTAModel
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from mmseg.structures import SegDataSample
from torch import Tensor

from hpvit_mm.registry import MODELS

Samples = List[SegDataSample]
Step = Callable[[Tensor], Tensor]
# For maps of up to this height plus width torch has another kernel.
SMALL = 128


@MODELS.register_module()
class FastEncoderDecoder(EncoderDecoder):
    """mmseg's EncoderDecoder with a faster test, and equal labels.

    mmseg 1.2.2 and onedl-mmsegmentation 1.4.2 resize the logits of all
    classes to the size of the input (or of each window, and pad and add these
    up), then to the original size, even where that is the same, and look for
    the largest across strided memory. This class does so class by class, in
    memory that stays in the processor's cache, and leaves out a resize that
    changes nothing. On GPUs, and for channels-last logits, it takes all
    classes at once. The labels are equal, as long as the logits are finite.
    Training is the host's.

    Args:
        keep_logits: Whether samples get ``seg_logits``, too, as the host's
            do: for K classes K times as large as a map of float32. Test-time
            augmentation needs them, see :class:`FastSegTTAModel`. Defaults
            to False.
        args, kwargs: Those of EncoderDecoder.
    """

    def __init__(self, *args, keep_logits: bool = False, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.keep_logits = keep_logits

    def predict(self, inputs: Tensor,
                data_samples: Optional[Samples] = None) -> Samples:
        """Label images.

        Args:
            inputs: Images of shape (N, 3, H, W).
            data_samples: Their samples. Defaults to None: new ones.

        Returns:
            The samples with ``pred_sem_seg``: classes, int64 of shape
            (1, H, W), each of the original size of its image; for heads with
            one channel 0 and 1 in float32, as in the host. With
            ``keep_logits`` also ``seg_logits`` of shape (K, H, W).
        """
        head, mode = self.decode_head, self.test_cfg.get('mode')
        if data_samples is None or self.out_channels == 1 \
                or not is_plain(head) or mode not in ('whole', 'slide'):
            return super().predict(inputs, data_samples)
        if mode == 'slide':
            window = tuple(map(min, zip(self.test_cfg.crop_size,
                                        inputs.shape[2:])))
            if sum(window) <= SMALL:
                return super().predict(inputs, data_samples)
            logits, merge = self._slide(inputs, window)
            return self._label(logits, data_samples, merge)
        metas = [one.metainfo for one in data_samples]
        logits = head.forward(self.extract_feat(inputs)).split(1)
        return self._label(logits, data_samples, partial(
            head.predict_by_feat, batch_img_metas=metas))

    def _slide(self, inputs: Tensor, window: Tuple[int, int]
               ) -> Tuple[List[Tensor], Step]:
        """Logits (windows, K, h, w) of each image, and how to merge them."""
        size = inputs.shape[2:]
        # the last windows end where the image ends
        places = list(product(*(
            [min(i * step, side - length)
             for i in range(-(-(side - length) // step) + 1)]
            for side, length, step in zip(size, window,
                                          self.test_cfg.stride))))
        height, width = window
        count = inputs.new_zeros((1, 1, *size))
        windows = []
        for y, x in places:
            count[:, :, y:y + height, x:x + width] += 1
            windows.append(self.decode_head.forward(self.extract_feat(
                inputs[:, :, y:y + height, x:x + width])))
        assert (count > 0).all(), 'strides must not be larger than windows'
        metas = [dict(img_shape=torch.Size(window))]

        def merge(maps: Tensor) -> Tensor:
            total = inputs.new_zeros((1, maps.size(1), *size))
            for (y, x), one in zip(places, maps.split(1)):
                total[:, :, y:y + height, x:x + width] += \
                    self.decode_head.predict_by_feat(one, metas)
            return total.div_(count)

        return [torch.cat([one[i:i + 1] for one in windows])
                for i in range(len(inputs))], merge

    def postprocess_result(self, seg_logits: Tensor,
                           data_samples: Optional[Samples] = None) -> Samples:
        """Label images by logits (N, K, H, W) of the size of the input."""
        if data_samples is not None and seg_logits.size(1) > 1:
            return self._label(seg_logits.split(1), data_samples)
        data_samples = super().postprocess_result(seg_logits, data_samples)
        if not self.keep_logits:
            for sample in data_samples:
                del sample.seg_logits
        return data_samples

    def _label(self, logits: Iterable[Tensor], data_samples: Samples,
               *steps: Step) -> Samples:
        """Label images by logits that first take these steps."""
        for maps, sample in zip(logits, data_samples):
            todo = [*steps, partial(self._to_original, meta=sample.metainfo)]
            if self.keep_logits:
                while todo:
                    maps = todo.pop(0)(maps)
                sample.seg_logits = PixelData(data=maps[0])
            sample.pred_sem_seg = PixelData(data=argmax(maps, todo))
        return data_samples

    def _to_original(self, maps: Tensor, meta: dict) -> Tensor:
        """Without padding, flipped back, in the size of the image file."""
        left, right, top, bottom = meta.get(
            'img_padding_size', meta.get('padding_size', [0] * 4))
        height, width = maps.shape[2:]
        maps = maps[:, :, top:height - bottom, left:width - right]
        if meta.get('flip'):
            direction = meta.get('flip_direction')
            assert direction in ('horizontal', 'vertical')
            maps = maps.flip(3 if direction == 'horizontal' else 2)
        if maps.shape[2:] == tuple(meta['ori_shape']):
            return maps
        return resize(maps, size=meta['ori_shape'], mode='bilinear',
                      align_corners=self.align_corners, warning=False)


@MODELS.register_module()
class FastSegTTAModel(SegTTAModel):
    """mmseg's SegTTAModel around a FastEncoderDecoder.

    It averages the classes' shares, for which it asks the segmentor to keep
    its logits. With mmseg's own SegTTAModel set ``keep_logits=True``.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.module.keep_logits = True


def is_plain(head: BaseDecodeHead) -> bool:
    """Whether a head predicts by its ``forward`` and a resize alone."""
    return all(getattr(type(head), name) is getattr(BaseDecodeHead, name)
               for name in ('predict', 'predict_by_feat'))


@torch.no_grad()
def argmax(logits: Tensor, steps: Sequence[Step] = ()) -> Tensor:
    """The classes with the largest logits, the first of equal ones.

    Args:
        logits: Logits of one image, of shape (1, K, h, w).
        steps: Functions of maps (1, k, h, w), which they move or resize, each
            by itself. Defaults to none.

    Returns:
        Classes of shape (1, H, W): ``argmax(1)`` of the logits after the
        steps.
    """

    def run(maps: Tensor) -> Tensor:
        for step in steps:
            maps = step(maps)
        return maps

    # a GPU is faster with all classes at once
    if not logits.is_cpu or not logits.is_contiguous():
        return run(logits).argmax(1)
    if is_separable(logits, steps):
        classes = (run(one) for one in logits.split(1, 1))
    else:
        classes = iter(run(logits).split(1, 1))
    best = next(classes).clone()  # (1, 1, H, W)
    # float, in which torch compares and multiplies many times faster
    index = torch.zeros_like(best, dtype=torch.float32)
    better = torch.empty_like(index)
    for k, maps in enumerate(classes, 1):
        torch.gt(maps, best, out=better)
        torch.maximum(index, better.mul_(k), out=index)
        torch.maximum(best, maps, out=best)
    if best.isnan().any():  # which torch takes for the largest
        return run(logits).argmax(1)
    return index[:, 0].long()


def is_separable(logits: Tensor, steps: Sequence[Step]) -> bool:
    """Whether torch resizes one class as it does all, to the last bit.

    It has other kernels, which round differently, for maps of three channels,
    and for several channels that are small or in channels-last order (ATen's
    ``_use_vectorized_kernel_cond_2d``).
    """
    maps = logits[:, :1]
    for step in steps:
        maps = step(maps)
        if maps.size(2) + maps.size(3) <= SMALL:
            return False
    return logits.size(1) != 3 and logits[0, 0].numel() > 1
