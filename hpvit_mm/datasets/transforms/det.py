"""mmdet's transforms."""
from mmdet.datasets.transforms import (LoadAnnotations, PackDetInputs,
                                       RandomFlip)

from hpvit_mm.registry import TRANSFORMS

from .masks import LazyMasks, lazy_masks
from .pixels import planar, upright


@TRANSFORMS.register_module()
class FastDetLoadAnnotations(LoadAnnotations):
    """mmdet's ``LoadAnnotations``, which leaves masks undrawn.

    ``results['gt_masks']`` is a :class:`LazyMasks`: mmdet's ``BitmapMasks``
    with its pixels, which are drawn when somebody looks at them. With
    ``poly2mask=False`` all is as in mmdet 3.3.0. Arguments and keys are its
    own.
    """

    def _load_masks(self, results: dict) -> None:
        if self.poly2mask:
            results['gt_masks'] = lazy_masks(
                self._process_masks(results), *results['ori_shape'])
        else:
            super()._load_masks(results)


@TRANSFORMS.register_module()
class FastDetRandomFlip(RandomFlip):
    """mmdet's ``RandomFlip``, after which other transforms are faster.

    The result is that of mmdet 3.3.0 and its successors, bit for bit.
    Arguments and keys are its own.
    """

    def _flip(self, results: dict) -> None:
        super()._flip(results)
        results['img'] = upright(results['img'])


@TRANSFORMS.register_module()
class FastPackDetInputs(PackDetInputs):
    """mmdet's ``PackDetInputs``, which draws masks and separates channels.

    The result is that of mmdet 3.3.0 and its successors, bit for bit; masks
    of ignored instances are drawn when somebody looks at them.

    Args:
        draw_masks (bool): Whether to draw the masks here. False suits tests,
            where only boxes and masks of the annotation file are looked at.
            Defaults to True.
        **kwargs: Of mmdet's ``PackDetInputs``.
    """

    def __init__(self, draw_masks: bool = True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.draw_masks = draw_masks

    def transform(self, results: dict) -> dict:
        """Pack an image (H, W, C), if there is one, and annotations."""
        if 'img' in results:
            results['img'] = planar(results['img'])
        packed = super().transform(results)
        instances = packed['data_samples'].gt_instances
        masks = instances.get('masks')
        if self.draw_masks and isinstance(masks, LazyMasks):
            instances.masks = masks.draw()
        return packed
