"""Check that a checkpoint fits the model, and can be resumed from."""
import re
import warnings
from typing import Dict, List, Optional

import torch
from mmengine.model import BaseTTAModel
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from hpvit_mm.checkpoints import read_checkpoint
from hpvit_mm.errors import UserError
from hpvit_mm.utils import shorten


RESUMED = ('optimizer', 'message_hub', 'meta')


def check_checkpoint(model: nn.Module, file: str,
                     optimizer: Optional[OptimWrapper] = None,
                     resume: bool = False, new_heads: bool = False) -> None:
    """Refuse a checkpoint of another model before it is half loaded.

    Args:
        model: The model; its parameters need no values.
        file: The checkpoint.
        optimizer: The optimizer that resumes from the checkpoint.
        resume: Whether training continues from it.
        new_heads: Whether the heads may differ, as for fine-tuning on other
            classes.
    """
    if isinstance(model, BaseTTAModel):
        model = model.module  # into which mmengine loads, too
    # what is resumed has been looked at before
    content = read_checkpoint(file, verify=not resume)
    if resume:
        missing = missing_state(content, file)
        if missing:
            raise UserError(f'--resume {file}: {missing}')
    tensors = weights(content)
    if not tensors:
        raise UserError(f'{file} has no weights of a whole model; name a '
                        'checkpoint that tools/train.py wrote, or give '
                        "weights of a backbone in the backbone's init_cfg")
    problems = [] if fits(model, tensors) else differences(
        model.state_dict(), tensors, new_heads)
    if problems:
        raise UserError(f'{file} does not fit the model of the config: '
                        + '; '.join(problems) + '; '
                        + likely_cause(model.state_dict(), tensors, file))
    if resume and optimizer:
        check_optimizer_state(optimizer, content, file)


def missing_state(content: dict, file: str) -> Optional[str]:
    """Return why training cannot resume from a file, or None if it can."""
    missing = [key for key in RESUMED if key not in content]
    if not missing:
        return None
    return (f'the file has no {shorten(missing)}, so training cannot continue '
            'from it; start a new training from its weights with '
            f'--cfg-options load_from={file}')


def weights(content: dict) -> Dict[str, Tensor]:
    """Return the tensors of a checkpoint under the names mmengine gives."""
    content = content.get('state_dict', content)
    return {re.sub(r'^module\.', '', name): tensor
            for name, tensor in content.items()
            if isinstance(tensor, Tensor)}


def fits(model: nn.Module, tensors: Dict[str, Tensor]) -> bool:
    """Return whether the model can load all tensors, adapted if need be."""
    shapes = {name: torch.empty_like(tensor, device='meta')
              for name, tensor in tensors.items()}
    try:
        with warnings.catch_warnings():
            # BN adds a counter that the file lacks
            warnings.filterwarnings('ignore', 'for .* copying from a non-meta')
            model.load_state_dict(shapes, strict=True)
    except Exception:  # modules raise errors of different types
        return False
    return True


def differences(own: Dict[str, Tensor], tensors: Dict[str, Tensor],
                new_heads: bool) -> List[str]:
    """Describe missing, unknown and misshapen tensors."""
    missing = [name for name in own if name not in tensors]
    unknown = [name for name in tensors if name not in own]
    misshapen = [
        f'{name} {tuple(tensors[name].shape)} instead of '
        f'{tuple(own[name].shape)}' for name in own
        if name in tensors and own[name].shape != tensors[name].shape
    ]
    groups = dict(missing=missing, unknown=unknown, misshapen=misshapen)
    if new_heads:
        groups = {title: [name for name in names if 'head' not in name]
                  for title, names in groups.items()}
    return [f'{len(names)} {title} ({shorten(names, 3)})'
            for title, names in groups.items() if names]


def likely_cause(own: Dict[str, Tensor], tensors: Dict[str, Tensor],
                 file: str) -> str:
    """The end of the sentence: the likely cause and its remedy."""
    backbone, given = ({name for name in one if name.startswith('backbone.')}
                       for one in (own, tensors))
    if backbone and not given:
        return ('it seems to hold the weights of a backbone alone, which are '
                'given by --cfg-options model.backbone.init_cfg.type='
                f'Pretrained model.backbone.init_cfg.checkpoint={file}')
    same = [name for name in own if name in tensors
            and own[name].shape == tensors[name].shape]
    if given <= backbone <= set(same):
        return ('its backbone fits, but not its other parts: use the config '
                'with which it was trained (number of classes, head, neck)')
    return ('use the config with which it was trained (model.backbone, neck '
            'and head)')


def check_optimizer_state(wrapper: OptimWrapper, content: dict,
                          file: str) -> None:
    """Check that the parameter groups are those of the checkpoint."""
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
