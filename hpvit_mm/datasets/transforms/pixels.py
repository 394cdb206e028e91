"""The order of pixels in memory."""
import cv2
import numpy as np


def upright(img: np.ndarray) -> np.ndarray:
    """The same pixels, without strides below zero.

    mmcv mirrors an image by a view, which costs nothing, and whatever OpenCV
    function comes next copies it pixel by pixel.

    Args:
        img (ndarray): Image of any shape (H, W, ...).

    Returns:
        ndarray: The same image.
    """
    if min(img.strides, default=0) >= 0:
        return img
    if img.dtype == np.uint8 and min(img.strides) == img.strides[1]:
        return cv2.flip(img[:, ::-1], 1).reshape(img.shape)
    return np.ascontiguousarray(img)


def planar(img: np.ndarray) -> np.ndarray:
    """The same pixels, one channel after the other in memory.

    The hosts pack an image by ``np.ascontiguousarray(img.transpose(2, 0, 1))``
    unless it is contiguous: behind this there is nothing left to copy, and
    OpenCV separates channels four times as fast as numpy and torch.

    Args:
        img (ndarray): Image, (H, W, C); anything but uint8 of three
            dimensions is returned as it is.

    Returns:
        ndarray: The same image, (H, W, C).
    """
    if img.dtype != np.uint8 or img.ndim != 3:
        return img
    planes = np.empty((img.shape[2], *img.shape[:2]), img.dtype)
    cv2.split(upright(img), list(planes))
    return planes.transpose(1, 2, 0)
