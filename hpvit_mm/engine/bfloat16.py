"""Mixed precision without scaled losses."""
from contextlib import ExitStack, contextmanager
from typing import Any, Iterable, Iterator, List

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.utils import apply_to
from torch import nn

from hpvit_mm.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Computes losses in bfloat16; weights and gradients stay in float32.

    bfloat16 has the range of float32: no gradient underflows, and nothing
    needs scaling. mmengine's AmpOptimWrapper scales all the same, and waits
    for the GPU at every step to learn whether a gradient is infinite. Here a
    step, a state and a checkpoint are those of an OptimWrapper, so a run may
    change from one to the other when it is resumed. Validation and tests are
    none of its business: they compute in float32.
    """

    _model = None
    _makers = ()

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute in bfloat16 what torch holds to be accurate enough."""
        if model is not self._model:  # a detector has hundreds of modules
            self._model, self._makers = model, box_makers(model)
        with super().optim_context(model), \
                torch.autocast(get_device(), torch.bfloat16), \
                exact_boxes(self._makers):
            yield


def box_makers(model: nn.Module) -> List[nn.Module]:
    """What makes boxes in mmdet's detectors: extractors of regions, heads.

    They are known by what they have, because a classifier needs no mmdet.
    """
    return [module for module in model.modules()
            if hasattr(module, 'roi_layers')
            or hasattr(module, 'predict_by_feat')]


@contextmanager
def exact_boxes(makers: Iterable[nn.Module]) -> Iterator[None]:
    """Let the :func:`box_makers` of a detector compute in float32.

    bfloat16 tells 1000 from 1004 and nothing between, so that boxes must not
    become bfloat16 like the features they are cut from; and mmcv 2.1.0's
    RoIAlign, and its NMS on the CPU, refuse it.
    """
    with ExitStack() as hooks:
        for module in makers:
            if hasattr(module, 'roi_layers'):  # cuts regions from features
                hook = module.register_forward_pre_hook(
                    lambda _, inputs: to_float32(inputs))
            else:  # a head
                hook = module.register_forward_hook(
                    lambda _, inputs, outputs: to_float32(outputs))
            hooks.callback(hook.remove)
        yield


def to_float32(data: Any) -> Any:
    """Nested data whose tensors of bfloat16 are float32."""
    return apply_to(data,
                    lambda one: getattr(one, 'dtype', None) is torch.bfloat16,
                    torch.Tensor.float)
