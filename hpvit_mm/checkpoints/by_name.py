"""Fit a backbone's own checkpoints, by the names of their tensors."""
from typing import Dict, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from hpvit_mm.errors import UserError
from hpvit_mm.utils import shorten
from .plain import flatten
from .report import LoadReport


def encoder_tensors(content: dict) -> Dict[str, Tensor]:
    """Return the tensors without what precedes the patch embedding."""
    found, anchor = flatten(content), 'patch_embed.proj.weight'
    prefix = next((name[:-len(anchor)] for name in found
                   if name.endswith(anchor)), '')
    return {name[len(prefix):]: one for name, one in found.items()
            if name.startswith(prefix)}


def add_output_norms(tensors: Dict[str, Tensor], own: Dict[str, Tensor],
                     last: str, sources: Sequence[str]) -> Dict[str, str]:
    """Give each output a norm, in place, and drop those of other outputs.

    Args:
        tensors: The file's tensors.
        own: Those of the backbone; the norms are ``norms.{output}``.
        last: Name of the norm behind all blocks.
        sources: Names that this norm may have in a file, best first.

    Returns:
        Names of the norms that start as plain normalisation -> this.
    """
    new = {}
    for name, one in own.items():
        if name in tensors or not name.startswith('norms.'):
            continue
        part = name.rpartition('.')[2]
        given = next((key for key in (f'{key}.{part}' for key in sources)
                      if key in tensors
                      and tensors[key].shape == one.shape), None)
        if name.startswith(f'{last}.') and given:
            tensors[name] = tensors.pop(given)
        else:
            new[name] = 'starts as plain normalisation'
            tensors[name] = (torch.ones if part == 'weight' else torch.zeros
                             )(one.shape, device='cpu')
    for name in tensors.keys() - own.keys():
        if name.startswith('norms.'):
            del tensors[name]
    return new


def fit_by_name(backbone: nn.Module, content: dict, source: str,
                new: Optional[Dict[str, str]] = None,
                resampled: Optional[dict] = None
                ) -> Tuple[Dict[str, Tensor], LoadReport]:
    """Find the tensors of a backbone, alone or behind ``backbone.``.

    Args:
        backbone: The backbone; its parameters need no values.
        content: Content of the file: tensors, alone or in an entry such as
            ``state_dict``.
        source: Name of the file, for messages.
        new: Names of tensors in ``content`` that are not the file's -> what
            they are. Defaults to None: there are none.
        resampled: Names of tensors -> their old and new grids. Defaults to
            None: there are none.

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
        source, kind, new=dict(new or {}), resampled=dict(resampled or {}),
        used=[name for name in own if name not in (new or {})],
        ignored={name: 'not in the backbone' for name in found
                 if name not in used}))
