"""Fit a backbone's own checkpoints, by the names of their tensors."""
from typing import Dict, Tuple

from torch import Tensor, nn

from hpvit_mm.errors import UserError
from hpvit_mm.utils import shorten
from .plain import flatten
from .report import LoadReport


def fit_by_name(backbone: nn.Module, content: dict, source: str
                ) -> Tuple[Dict[str, Tensor], LoadReport]:
    """Find the tensors of a backbone, alone or behind ``backbone.``.

    Args:
        backbone: The backbone; its parameters need no values.
        content: Content of the file: tensors, alone or in an entry such as
            ``state_dict``.
        source: Name of the file, for messages.

    Returns:
        Tensors by the backbone's names, and the report.

    Raises:
        UserError: If a tensor is missing or of another shape, or if a part
            of the backbone has tensors that the backbone lacks, such as
            further blocks.
    """
    found, own = flatten(content), backbone.state_dict()
    prefix = 'backbone.' if any(
        name.startswith('backbone.') for name in found) else ''
    tensors = {name[len(prefix):]: tensor for name, tensor in found.items()
               if name.startswith(prefix)}
    parts = {name.split('.')[0] for name in own}
    faults = {
        'missing': [name for name in own if name not in tensors],
        'of another shape': [
            f'{name} is {tuple(tensors[name].shape)} and should be '
            f'{tuple(tensor.shape)}' for name, tensor in own.items()
            if name in tensors and tensors[name].shape != tensor.shape],
        'unknown': [name for name in tensors if name not in own
                    and name.split('.')[0] in parts],
    }
    problems = [f'{len(names)} tensors are {what} ({shorten(names)})'
                for what, names in faults.items() if names]
    kind = type(backbone).__name__
    if problems:
        raise UserError(
            f'{source} does not fit {kind}: {" and ".join(problems)}. '
            'Nothing was loaded: give a checkpoint of this backbone, and the '
            'arguments that it was trained with.')
    used = {prefix + name for name in own}
    return ({name: tensors[name] for name in own}, LoadReport(
        source, kind, used=list(own),
        ignored={name: 'not in the backbone' for name in found
                 if name not in used}))
