"""Masks that are drawn when all that moves them is known."""
from functools import cached_property
from typing import List, Optional, Sequence, Tuple, Union

import cv2
import mmcv
import numpy as np
import torch
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.structures.bbox import HorizontalBoxes, get_box_type
from mmdet.structures.mask import BitmapMasks


class Outline:
    """An instance as it is annotated, drawn when it is first looked at.

    Args:
        annotation (list[ndarray] | dict): Polygons, or a mask of COCO's run
            lengths.
        height (int): Of the image.
        width (int): Of the image.
    """

    def __init__(self, annotation: Union[list, dict], height: int,
                 width: int) -> None:
        self.annotation = annotation
        self.height = height
        self.width = width

    @cached_property
    def transposed(self) -> np.ndarray:
        """The mask, uint8 of shape (W, H): pycocotools draws columns."""
        return LoadAnnotations._poly2mask(
            None, self.annotation, self.height, self.width).T

    @cached_property
    def box(self) -> Tuple[int, int, int, int]:
        """Where it is not empty: top, left, height and width."""
        return cv2.boundingRect(self.transposed)

    def __reduce__(self) -> tuple:
        return Outline, (self.annotation, self.height, self.width)


class LazyMasks(BitmapMasks):
    """``BitmapMasks`` that are drawn once, at the end.

    Resizing by the nearest pixel, cropping, flipping and padding move whole
    rows and columns, so it suffices to note from which row and column of the
    annotated image those of the result come. mmdet copies all masks at each
    of these steps instead. All else that ``BitmapMasks`` does draws them
    first. Pixels are those of mmdet 3.3.0 and its successors.

    Args:
        outlines (Sequence[Outline]): The N instances.
        rows (ndarray): Row of the annotated image for each row here, -1 for
            an empty one, shape (H,).
        columns (ndarray): The same for columns, shape (W,).
    """

    # A class method that makes an instance by BitmapMasks' own arguments.
    cat = BitmapMasks.cat

    def __init__(self, outlines: Sequence[Outline], rows: np.ndarray,
                 columns: np.ndarray) -> None:
        self.outlines = outlines
        self.rows = rows
        self.columns = columns
        self.height = len(rows)
        self.width = len(columns)

    @cached_property
    def masks(self) -> np.ndarray:
        """The masks, uint8 of shape (N, H, W)."""
        masks = np.zeros((len(self), self.height, self.width), np.uint8)
        for mask, outline in zip(masks, self.outlines):
            seen = self._seen(outline)
            if seen is not None:
                top, left, part = seen
                mask[top:top + part.shape[0], left:left + part.shape[1]] = part
        return masks

    def draw(self) -> 'DrawnMasks':
        """The masks as they are now."""
        return DrawnMasks(self.masks, self.height, self.width)

    def get_bboxes(self, dst_type: Union[str, type] = 'hbb'):
        """Boxes around what is seen; see ``BitmapMasks.get_bboxes``."""
        if get_box_type(dst_type)[1] is not HorizontalBoxes:
            return super().get_bboxes(dst_type)
        boxes = np.zeros((len(self), 4), np.float32)
        for box, outline in zip(boxes, self.outlines):
            seen = self._seen(outline)
            if seen is not None:
                top, left, part = seen
                x, y, width, height = cv2.boundingRect(part)
                if width:
                    box[:] = (left + x, top + y, left + x + width,
                              top + y + height)
        return HorizontalBoxes(boxes)

    def _seen(self, outline: Outline
              ) -> Optional[Tuple[int, int, np.ndarray]]:
        """The part of an instance that is here: top, left and pixels."""
        top, left, height, width = outline.box
        rows = np.flatnonzero(
            (self.rows >= top) & (self.rows < top + height))
        columns = np.flatnonzero(
            (self.columns >= left) & (self.columns < left + width))
        if not len(rows) or not len(columns):
            return None
        # Rows and columns are in order or in reverse order, so both are
        # ranges. Whole columns are copied, then whole rows.
        part = outline.transposed[:, top:top + height].take(
            self.columns[columns], axis=0)
        part = cv2.transpose(part).take(self.rows[rows] - top, axis=0)
        return rows[0], columns[0], part

    def __getitem__(self, index: Union[int, slice, np.ndarray]
                    ) -> 'LazyMasks':
        chosen = np.arange(len(self))[index].reshape(-1)
        return LazyMasks([self.outlines[i] for i in chosen], self.rows,
                         self.columns)

    def __len__(self) -> int:
        return len(self.outlines)

    def rescale(self, scale, interpolation: str = 'nearest') -> BitmapMasks:
        """See ``BitmapMasks.rescale``."""
        width, height = mmcv.rescale_size((self.width, self.height), scale)
        return self.resize((height, width), interpolation)

    def resize(self, out_shape: Tuple[int, int],
               interpolation: str = 'nearest') -> BitmapMasks:
        """See ``BitmapMasks.resize``."""
        if interpolation != 'nearest':
            return super().resize(out_shape, interpolation)
        return LazyMasks(self.outlines, _stretched(self.rows, out_shape[0]),
                         _stretched(self.columns, out_shape[1]))

    def flip(self, flip_direction: str = 'horizontal') -> 'LazyMasks':
        """See ``BitmapMasks.flip``."""
        assert flip_direction in ('horizontal', 'vertical', 'diagonal')
        rows, columns = self.rows, self.columns
        if flip_direction != 'horizontal':
            rows = rows[::-1]
        if flip_direction != 'vertical':
            columns = columns[::-1]
        return LazyMasks(self.outlines, rows, columns)

    def pad(self, out_shape: Tuple[int, int], pad_val: int = 0
            ) -> BitmapMasks:
        """See ``BitmapMasks.pad``."""
        below = out_shape[0] - self.height
        right = out_shape[1] - self.width
        if pad_val or below < 0 or right < 0:
            return super().pad(out_shape, pad_val)
        return LazyMasks(
            self.outlines,
            np.concatenate([self.rows, np.full(below, -1)]),
            np.concatenate([self.columns, np.full(right, -1)]))

    def crop(self, bbox: np.ndarray) -> 'LazyMasks':
        """See ``BitmapMasks.crop``."""
        assert isinstance(bbox, np.ndarray) and bbox.ndim == 1
        x1, x2 = np.clip(bbox[0::2], 0, self.width)
        y1, y2 = np.clip(bbox[1::2], 0, self.height)
        return LazyMasks(self.outlines, self.rows[y1:max(y2, y1 + 1)],
                         self.columns[x1:max(x2, x1 + 1)])


class DrawnMasks(BitmapMasks):
    """``BitmapMasks`` that reach the training process without a copy.

    A worker sends arrays through a pipe, and tensors in shared memory.

    Args:
        masks (ndarray): The masks, uint8 of shape (N, H, W), not copied.
        height (int): H.
        width (int): W.
    """

    def __init__(self, masks: np.ndarray, height: int, width: int) -> None:
        self.masks = masks
        self.height = height
        self.width = width

    def __reduce__(self) -> tuple:
        return _received, (torch.from_numpy(self.masks), self.height,
                           self.width)

    def pad(self, out_shape: Tuple[int, int], pad_val: int = 0
            ) -> BitmapMasks:
        """See ``BitmapMasks.pad``, which copies them to the same size, too."""
        if tuple(out_shape) == (self.height, self.width):
            return self
        return super().pad(out_shape, pad_val)


def _received(masks: torch.Tensor, height: int, width: int) -> DrawnMasks:
    return DrawnMasks(masks.numpy(), height, width)


def _stretched(index: np.ndarray, length: int) -> np.ndarray:
    """An index, of which OpenCV chooses the entries as those of an image."""
    positions = np.arange(len(index), dtype=np.float32)[:, None]
    chosen = mmcv.imresize(positions, (1, length), interpolation='nearest')
    return index[chosen.ravel().astype(int)]


def lazy_masks(annotations: List[Union[list, dict]], height: int,
               width: int) -> LazyMasks:
    """The masks of an image as it is annotated.

    Args:
        annotations (list): Polygons or run lengths of each instance.
        height (int): Of the image.
        width (int): Of the image.
    """
    return LazyMasks([Outline(one, height, width) for one in annotations],
                     np.arange(height), np.arange(width))
