"""mmseg's transforms."""
from typing import Tuple

import cv2
import mmcv
import numpy as np
from mmcv.transforms.utils import cache_randomness
from mmseg.datasets.transforms import (PackSegInputs, PhotoMetricDistortion,
                                       RandomCrop)

from hpvit_mm.errors import UserError
from hpvit_mm.registry import TRANSFORMS

from .pixels import planar, upright

LEVELS = np.arange(256, dtype=np.uint8)
# OpenCV counts in float32, which is exact up to here.
COUNTABLE = 2**24


@TRANSFORMS.register_module()
class FastSegRandomCrop(RandomCrop):
    """mmseg's ``RandomCrop``, faster with ``cat_max_ratio``.

    The result is that of mmseg 1.2.2 and its successors, bit for bit: labels
    are counted, and not sorted. Arguments and keys are its own.
    """

    @cache_randomness
    def crop_bbox(self, results: dict) -> Tuple[int, int, int, int]:
        """A box (top, bottom, left, right) with more than one class."""
        labels = results.get('gt_seg_map')
        if self.cat_max_ratio >= 1 or labels.dtype != np.uint8 \
                or self.crop_size[0] * self.crop_size[1] > COUNTABLE:
            return super().crop_bbox(results)
        shape = results['img'].shape
        box = self._random_box(shape)
        for _ in range(10):
            if self._is_mixed(self.crop(labels, box)):
                break
            box = self._random_box(shape)
        return box

    def _random_box(self, shape: tuple) -> Tuple[int, int, int, int]:
        height, width = self.crop_size
        top = np.random.randint(0, max(shape[0] - height, 0) + 1)
        left = np.random.randint(0, max(shape[1] - width, 0) + 1)
        return top, top + height, left, left + width

    def _is_mixed(self, labels: np.ndarray) -> bool:
        counts = cv2.calcHist([labels], [0], None, [256], [0, 256])
        counts = counts.ravel().astype(np.int64)
        if 0 <= self.ignore_index < 256:
            counts[self.ignore_index] = 0
        return (np.count_nonzero(counts) > 1
                and counts.max() / counts.sum() < self.cat_max_ratio)


@TRANSFORMS.register_module()
class FastSegPhotoMetricDistortion(PhotoMetricDistortion):
    """mmseg's ``PhotoMetricDistortion`` of uint8 images, three times as fast.

    The result is that of mmseg 1.2.2 and its successors, bit for bit: what
    they do with every pixel is done once with each of the 256 levels.
    Arguments and keys are its own.

    Raises:
        UserError: If the image is not uint8.
    """

    def transform(self, results: dict) -> dict:
        """Distort ``results['img']``, uint8 of shape (H, W, 3)."""
        if results['img'].dtype != np.uint8:
            raise UserError(
                'FastSegPhotoMetricDistortion distorts uint8 images, not '
                f'{results["img"].dtype}; take PhotoMetricDistortion, or '
                'remove to_float32 of LoadImageFromFile')
        results['img'] = upright(results['img'])
        return super().transform(results)

    def convert(self, img: np.ndarray, alpha: float = 1,
                beta: float = 0) -> np.ndarray:
        """``img * alpha + beta``, within 0 and 255."""
        return cv2.LUT(img, super().convert(LEVELS, alpha, beta))

    def saturation(self, img: np.ndarray) -> np.ndarray:
        """Multiply the saturation, in half of the cases."""
        if np.random.randint(2):
            img = mmcv.bgr2hsv(img)
            channel = self.convert(
                cv2.extractChannel(img, 1),
                alpha=np.random.uniform(self.saturation_lower,
                                        self.saturation_upper))
            img = mmcv.hsv2bgr(cv2.insertChannel(channel, img, 1))
        return img

    def hue(self, img: np.ndarray) -> np.ndarray:
        """Turn the hue, in half of the cases."""
        if np.random.randint(2):
            img = mmcv.bgr2hsv(img)
            delta = np.random.randint(-self.hue_delta, self.hue_delta)
            turned = ((LEVELS.astype(int) + delta) % 180).astype(np.uint8)
            channel = cv2.LUT(cv2.extractChannel(img, 0), turned)
            img = mmcv.hsv2bgr(cv2.insertChannel(channel, img, 0))
        return img


@TRANSFORMS.register_module()
class FastPackSegInputs(PackSegInputs):
    """mmseg's ``PackSegInputs``, which separates channels faster.

    The result is that of mmseg 1.2.2 and its successors, bit for bit.
    Arguments and keys are its own.
    """

    def transform(self, results: dict) -> dict:
        """Pack an image (H, W, C), if there is one, and labels."""
        if 'img' in results:
            results['img'] = planar(results['img'])
        return super().transform(results)
