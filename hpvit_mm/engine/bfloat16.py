"""Mixed precision in bfloat16, without loss scaling."""
from contextlib import ExitStack, contextmanager
from typing import Any, Iterable, Iterator, List

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.utils import apply_to
from torch import nn

from hpvit_mm.registry import OPTIM_WRAPPERS

# Attributes of RoI extractors, heads, deformable attention and losses.
BOX_MAKERS = ('roi_layers', 'predict_by_feat', 'sampling_offsets',
              'loss_weight')


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Compute losses under bfloat16 autocast; weights stay in float32.

    bfloat16 has the range of float32, so gradients do not underflow and need
    no scaling. mmengine's AmpOptimWrapper scales anyway, and waits for the GPU
    at every step to find out whether a gradient is infinite. Here steps, state
    and checkpoints are those of an OptimWrapper, so a resumed run may change
    from one to the other. Validation and tests compute in float32.
    """

    _model = None
    _makers = ()

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast to bfloat16, except for boxes."""
        if model is not self._model:  # a detector has hundreds of modules
            self._model, self._makers = model, box_makers(model)
        with super().optim_context(model), \
                torch.autocast(get_device(), torch.bfloat16), \
                exact_boxes(self._makers):
            yield


def box_makers(model: nn.Module) -> List[nn.Module]:
    """The modules of mmdet's detectors that compute boxes.

    These are RoI extractors, heads, deformable attention and losses, found by
    their attributes, so that a classifier does not import mmdet.
    """
    return [module for module in model.modules()
            if any(hasattr(module, name) for name in BOX_MAKERS)]


@contextmanager
def exact_boxes(makers: Iterable[nn.Module]) -> Iterator[None]:
    """Cast the tensors of the :func:`box_makers` to float32.

    Near 1000 bfloat16 has steps of 4, too coarse for coordinates; and mmcv
    2.1.0's RoIAlign, deformable attention (mmcv#2878) and focal loss
    (mmcv#3061) on the GPU, and its NMS on the CPU, do not support it.
    """
    with ExitStack() as hooks:
        for module in makers:
            if hasattr(module, 'roi_layers') or hasattr(module, 'loss_weight'):
                hook = module.register_forward_pre_hook(
                    lambda _, inputs: to_float32(inputs))
            elif hasattr(module, 'sampling_offsets'):
                # deformable attention takes the dtype of its values
                hook = module.value_proj.register_forward_hook(
                    lambda _, inputs, outputs: to_float32(outputs))
            else:  # a head
                hook = module.register_forward_hook(
                    lambda _, inputs, outputs: to_float32(outputs))
            hooks.callback(hook.remove)
        yield


def to_float32(data: Any) -> Any:
    """Cast the bfloat16 tensors of nested data to float32."""
    return apply_to(data,
                    lambda one: getattr(one, 'dtype', None) is torch.bfloat16,
                    torch.Tensor.float)
