"""Linear layers, by the faster one of torch's two libraries for the CPU."""
import functools
import math
from typing import Optional, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils.flop_counter import flop_registry, register_flop_formula

from .recording import is_recorded

# torch.compile's own name for oneDNN's linear layer; there is no public one.
ONEDNN_LINEAR = getattr(torch.ops.mkldnn, '_linear_pointwise', None)

# Below so many multiply-adds it loses more at the start of a product, and of
# the first one of a shape, than it wins.
LEAST_MACS = 2**24

if ONEDNN_LINEAR is not None and ONEDNN_LINEAR not in flop_registry:
    @register_flop_formula(ONEDNN_LINEAR)
    def _flops(x_shape, weight_shape, *_, **__) -> int:
        return 2 * math.prod(x_shape) * weight_shape[0]


@functools.lru_cache(maxsize=None)
def prefers_onednn() -> bool:
    """Whether oneDNN multiplies float32 matrices faster than MKL does.

    torch has both, and takes MKL. On AMD's processors MKL does without
    AVX-512 (``MKL_VERBOSE=1`` tells), oneDNN does not, and was 1.2 times as
    fast (docs/performance.md). Intel's processors are left alone.
    """
    try:
        with open('/proc/cpuinfo') as file:
            maker = file.read(1000)
    except OSError:  # not Linux
        return False
    return ('AuthenticAMD' in maker and ONEDNN_LINEAR is not None
            and torch.backends.mkldnn.is_available()
            and torch.backends.cpu.get_cpu_capability() == 'AVX512')


def onednn_linear(x: Tensor, weight: Tensor,
                  bias: Optional[Tensor] = None) -> Tensor:
    """``F.linear`` of float32 by oneDNN, without gradients.

    It refuses matrices whose rows overlap, and reads a bias with gaps as one
    without, beyond its end.
    """
    if bias is not None:
        bias = bias.contiguous()
    return ONEDNN_LINEAR(_dense(x), _dense(weight), bias, 'none', [], '')


def _dense(matrix: Tensor) -> Tensor:
    """With rows, or columns, one behind the other; mostly it is so."""
    transposed = matrix.dim() == 2 and matrix.t().is_contiguous()
    return matrix if transposed else matrix.contiguous()


class OneDNNLinear(torch.autograd.Function):
    """``F.linear`` by oneDNN; its gradients are products of the same kind."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
        return onednn_linear(x, weight, bias)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        x, weight, _ = inputs
        of_x, of_weight, _ = ctx.needs_input_grad
        ctx.save_for_backward(x if of_weight else None,
                              weight if of_x else None)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        x, weight = ctx.saved_tensors
        # Gradients of gradients are left to torch.
        product = F.linear if torch.is_grad_enabled() else onednn_linear
        of_x, of_weight, of_bias = ctx.needs_input_grad
        # (..., C_out) -> (N, C_out)
        rows = grad.reshape(-1, grad.shape[-1])
        return (product(grad, weight.t()) if of_x else None,
                # (..., C_in) -> (C_in, N)
                product(rows.t(), x.reshape(-1, x.shape[-1]).t())
                if of_weight else None,
                rows.sum(dim=0) if of_bias else None)


def linear(x: Tensor, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """``F.linear``, by oneDNN where that is faster.

    Args:
        x: Of shape (..., C_in).
        weight: Of shape (C_out, C_in).
        bias: Of shape (C_out, ), or None.

    Returns:
        A tensor of shape (..., C_out).
    """
    if is_recorded():
        return F.linear(x, weight, bias)
    if (x.is_cpu and prefers_onednn()
            and all(map(_is_plain, (x, weight) if bias is None else
                        (x, weight, bias)))
            # Those inside of torch.func, and with tangents, have ways of
            # their own.
            and not torch._C._are_functorch_transforms_active()
            and forward_ad._current_level < 0
            and x.numel() * len(weight) >= LEAST_MACS
            and torch.backends.mkldnn.enabled
            and not torch.is_autocast_enabled('cpu')):
        return OneDNNLinear.apply(x, weight, bias)
    return F.linear(x, weight, bias)


def _is_plain(one: Tensor) -> bool:
    """Neither of another class, as quantised ones, nor sparse."""
    return (type(one) in (Tensor, nn.Parameter)
            and one.dtype == torch.float32 and one.layout == torch.strided)


class Linear(nn.Linear):
    """``nn.Linear``, computed by :func:`linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., C_in) -> (..., C_out)"""
        return linear(x, self.weight, self.bias)
