"""Whether the optimizer can be built, and takes a checkpoint's state."""
import copy
from typing import List, Optional

from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import nn

from hpvit_mm.errors import UserError

from .model import unheard
from .refusal import refusals


def build_optimizer(cfg: Config, model: nn.Module) -> Optional[OptimWrapper]:
    """The optimizer over a model without values.

    Returns:
        The optimizer, or None where only the run itself can build it.

    Raises:
        UserError: If an argument is refused.
    """
    entry = copy.deepcopy(cfg.optim_wrapper)
    try:
        with refusals(entry, 'optim_wrapper'), unheard():
            return build_optim_wrapper(model, entry)
    except UserError:
        raise
    except Exception:  # the run will say what it is
        return None


def check_optimizer_state(wrapper: OptimWrapper, content: dict,
                          file: str) -> None:
    """A run continues only with the parameter groups it was made with."""
    saved = content['optimizer'].get('param_groups')
    if saved is None:  # several optimizers, each with its own
        return
    groups = wrapper.optimizer.param_groups
    if _sizes(saved) != _sizes(groups):
        raise UserError(
            f'--resume {file}: its optimizer has {len(saved)} groups of '
            f'parameters, and that of the config {len(groups)}, or of other '
            'sizes; resume with the optim_wrapper (optimizer, constructor, '
            'paramwise_cfg) and the frozen_stages of the first start')


def _sizes(groups: List[dict]) -> List[int]:
    return [len(group['params']) for group in groups]
