"""mmpretrain's transforms."""
import mmcv
import numpy as np
from mmpretrain.datasets.transforms import RandomResizedCrop

from hpvit_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class FastRandomResizedCrop(RandomResizedCrop):
    """mmpretrain's, faster with ``backend='pillow'``.

    The result is that of mmpretrain 1.2.0 and its successors, bit for bit.
    Arguments and keys are its own.
    """

    def transform(self, results: dict) -> dict:
        """Crop and resize ``results['img']``, (H, W, C)."""
        img = results['img']
        top, left, height, width = self.rand_crop_params(img)
        # Pillow takes a view apart pixel by pixel, which takes longer than
        # to resize it.
        img = np.ascontiguousarray(
            img[top:top + height, left:left + width])
        results['img'] = mmcv.imresize(
            img, tuple(self.scale[::-1]), interpolation=self.interpolation,
            backend=self.backend)
        results['img_shape'] = results['img'].shape
        return results
