"""Batches for segmentation."""
import copy

import torch
from mmseg.models import SegDataPreProcessor

from hpvit_mm.registry import MODELS

from .batch import is_usual, to_batch


@MODELS.register_module()
class FastSegDataPreProcessor(SegDataPreProcessor):
    """mmseg's SegDataPreProcessor, faster and bit for bit the same.

    It takes mmseg's arguments, and gives what mmseg 1.2.2 and
    onedl-mmsegmentation 1.4.2 give: images as float32 of shape (N, 3, H, W),
    and the samples with padded label maps. Images that are not normalised, or
    do not have three channels, and ``batch_augments`` are left to the host's
    own code.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Make a batch of what the loader gives.

        Args:
            data: ``inputs``, a list of images (3, H, W) or a stack
                (N, 3, H, W), of any type of numbers, and ``data_samples``.
            training: Whether to pad by ``size`` or ``size_divisor``; else
                images must be of one size, and ``test_cfg`` pads.
        """
        images = self.cast_data(data['inputs'])
        if self.batch_augments is not None or not is_usual(images, self):
            return super().forward(data, training)
        # mmseg 1.2.2 and its fork have different names for it
        swap = getattr(self, 'channel_conversion',
                       getattr(self, '_channel_conversion', False))
        # The host pads the label maps, beside images without channels.
        rest = copy.copy(self)
        rest._enable_normalize = False
        empty = [torch.empty(0, *one.shape[1:]) for one in images]
        data = super(FastSegDataPreProcessor, rest).forward(
            dict(data, inputs=empty), training)
        data['inputs'] = to_batch(images, self, swap,
                                  data['inputs'].shape[2:], self.pad_val)
        return data
