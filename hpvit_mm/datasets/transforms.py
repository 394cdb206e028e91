"""Transforms that no host library has; they need mmcv only."""
from typing import Dict

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from hpvit_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MapLabels(BaseTransform):
    """Replace ids in a label map.

    For label maps whose ignored id is not 255, such as CamVid's 11, or whose
    ids have gaps. It stands behind ``LoadAnnotations``, in the pipelines of
    training and of testing::

        dict(type='hpvit_mm.MapLabels', mapping={11: 255})

    Args:
        mapping: Id in ``results['gt_seg_map']`` -> new id, both 0 to 255.
            Ids that are not in it stay. ``reduce_zero_label`` of the data
            set comes first.
    """

    def __init__(self, mapping: Dict[int, int]) -> None:
        self.mapping = dict(mapping)
        self.table = np.arange(256, dtype=np.uint8)
        for old, new in self.mapping.items():
            if not (0 <= old <= 255 and 0 <= new <= 255):
                raise ValueError(f'mapping: {old}: {new} must be ids from 0 '
                                 'to 255')
            self.table[old] = new

    def transform(self, results: dict) -> dict:
        """Map ``results['gt_seg_map']``, uint8 of shape (H, W)."""
        results['gt_seg_map'] = cv2.LUT(results['gt_seg_map'], self.table)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(mapping={self.mapping})'
