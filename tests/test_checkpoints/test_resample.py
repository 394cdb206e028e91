"""Kernels of the patch embedding for other patches and channels."""
import pytest
import torch
import torch.nn.functional as F

from hpvit_mm.checkpoints.resample import (KERNEL_METHODS, adapt_in_channels,
                                           resample_patch_kernel)
from hpvit_mm.errors import UserError


def kernel(size, channels=3):
    return torch.randn(8, channels, size, size, dtype=torch.float64)


def resize(images, size):
    return F.interpolate(images, size=size, mode='bilinear', antialias=True)


@pytest.mark.parametrize('old, new', [(14, 16), (16, 32), (8, 12)])
def test_pinv_answers_to_a_larger_patch_as_before(old, new):
    weight = kernel(old)
    patches = torch.randn(5, 3, old, old, dtype=torch.float64)
    larger = resample_patch_kernel(weight, (new, new))
    torch.testing.assert_close(
        F.conv2d(resize(patches, (new, new)), larger),
        F.conv2d(patches, weight), rtol=1e-9, atol=1e-9)


def test_enlarge_answers_to_a_smaller_patch_as_if_it_were_enlarged():
    weight = kernel(16)
    patches = torch.randn(5, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(
        F.conv2d(patches, resample_patch_kernel(weight, (8, 8), 'enlarge')),
        F.conv2d(resize(patches, (16, 16)), weight), rtol=1e-5, atol=1e-5)


def test_pinv_of_a_smaller_patch_is_the_best_there_is():
    """No other kernel answers better to patches that are made smaller."""
    weight = kernel(16)
    patches = torch.randn(4000, 3, 16, 16, dtype=torch.float64)
    small, answer = resize(patches, (8, 8)), F.conv2d(patches, weight)
    # Least squares over white patches, by another way than the package's.
    best = torch.linalg.lstsq(small.flatten(1), answer.flatten(1)).solution
    ours = resample_patch_kernel(weight, (8, 8)).flatten(1).T

    def error(solution):
        return (small.flatten(1) @ solution
                - answer.flatten(1)).square().mean()

    assert error(ours) <= 1.2 * error(best)


@pytest.mark.parametrize('size', [16, 8])
def test_bilinear_answers_to_an_even_patch_as_before(size):
    """A kernel without details, to a patch without details."""
    weight = kernel(1).expand(-1, -1, 14, 14)
    resized = resample_patch_kernel(weight, (size, size), 'bilinear')
    torch.testing.assert_close(resized.sum(dim=(2, 3)),
                               weight.sum(dim=(2, 3)), rtol=1e-5, atol=1e-5)


def test_pad_sees_the_same_pixels():
    weight = kernel(14)
    padded = resample_patch_kernel(weight, (16, 16), 'pad')
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(
        F.conv2d(x, padded), F.conv2d(x, weight)[..., 1:-1, 1:-1])


@pytest.mark.parametrize('method', KERNEL_METHODS)
def test_the_same_size_is_the_same_kernel(method):
    weight = kernel(16)
    assert resample_patch_kernel(weight, (16, 16), method) is weight


@pytest.mark.parametrize('method', KERNEL_METHODS)
def test_the_type_of_the_numbers_stays(method):
    weight = kernel(14).half()
    assert resample_patch_kernel(weight, (16, 16), method).dtype is \
        torch.float16


def test_bad_methods():
    with pytest.raises(UserError, match="'pinv'"):
        resample_patch_kernel(kernel(14), (16, 16), 'nearest')
    with pytest.raises(UserError, match='shrink'):
        resample_patch_kernel(kernel(16), (14, 14), 'pad')


@pytest.mark.parametrize('old, new', [(3, 1), (3, 6), (1, 3), (3, 3)])
def test_equal_channels_give_the_same_response(old, new):
    weight = kernel(16, old)
    grey = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(
        F.conv2d(grey.expand(-1, new, -1, -1),
                 adapt_in_channels(weight, new)),
        F.conv2d(grey.expand(-1, old, -1, -1), weight))


def test_four_channels_repeat_the_first():
    weight = kernel(16)
    adapted = adapt_in_channels(weight, 4)
    assert torch.equal(adapted[:, 3], adapted[:, 0])
    torch.testing.assert_close(adapted[:, :3], weight * 0.75)
