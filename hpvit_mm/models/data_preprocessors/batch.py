"""Images, written normalised into the batch that a model takes."""
from typing import Sequence, Tuple, Union

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

# A list of images (3, H, W), or a stack (N, 3, H, W).
Images = Union[Tensor, Sequence[Tensor]]

# So many float32 stay in the processor's cache from one step to the next.
# More are done image by image, or plane by plane.
AT_ONCE = 2**19


def is_usual(images: Images, preprocessor: BaseDataPreprocessor) -> bool:
    """Whether :func:`to_batch` can do it: what else there is, the host does.

    Args:
        images: What the preprocessor was given.
        preprocessor: One of a host.
    """
    if not len(images) or not preprocessor._enable_normalize:
        return False
    mean, std = preprocessor.mean, preprocessor.std
    dims = 4 if isinstance(images, Tensor) else 3
    return mean.dtype == std.dtype == torch.float32 \
        and mean.numel() in (1, 3) and std.numel() in (1, 3) \
        and all(isinstance(one, Tensor) and one.dim() == dims
                and one.size(-3) == 3 and not one.requires_grad
                for one in pieces(images))


def pieces(images: Images) -> Sequence[Tensor]:
    """The tensors: the stack, or each image."""
    return [images] if isinstance(images, Tensor) else images


def padded_size(images: Images, divisor: int) -> Tuple[int, int]:
    """The largest height and width, rounded up to a multiple."""
    return tuple(-(-max(one.shape[axis] for one in pieces(images)) // divisor)
                 * divisor for axis in (-2, -1))


def to_batch(images: Images, preprocessor: BaseDataPreprocessor, swap: bool,
             size: Tuple[int, int], pad_value: float) -> Tensor:
    """``(image - mean) / std`` of all images, padded at the right and below.

    The hosts make a new tensor in each step. Here each image goes straight to
    its place, by the same operations on the same numbers.

    Args:
        images: Images of any numbers, 0 to 255, on the preprocessor's device.
        preprocessor: Has ``mean`` and ``std``.
        swap: Whether to swap the first and the last channel.
        size: Height and width of the batch.
        pad_value: What is in the padding, after normalisation.

    Returns:
        float32 of shape (N, 3, *size).
    """
    mean, std = (one.expand(3, 1, 1)
                 for one in (preprocessor.mean, preprocessor.std))
    batch = torch.empty((len(images), 3, *size), dtype=torch.float32,
                        device=mean.device)
    pairs = zip(images, batch)
    if len({one.shape for one in pieces(images)}) == 1 and (
            not batch.is_cpu or batch.numel() <= AT_ONCE):
        if not isinstance(images, Tensor):
            images = torch.stack(list(images))
        pairs = [(images, batch)]
    for image, out in pairs:
        height, width = image.shape[-2:]
        if (height, width) != size:
            out[..., height:, :] = pad_value
            out[..., :height, width:] = pad_value
            out = out[..., :height, :width]
        if batch.is_cpu and out.numel() > AT_ONCE:
            planes = image.unbind()[::-1] if swap else image
            for plane, one_mean, one_std, place in zip(
                    planes, mean, std, out):
                place.copy_(plane).sub_(one_mean).div_(one_std)
        else:
            out.copy_(image.flip(-3) if swap else image)
            out.sub_(mean).div_(std)
    return batch
