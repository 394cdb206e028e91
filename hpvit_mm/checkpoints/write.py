"""Write checkpoints: tensors and plain data, no pickled code."""
import json
import tempfile
from pathlib import Path
from typing import Dict, Union

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from hpvit_mm.errors import UserError
from hpvit_mm.utils import replacing

FORMATS = ('pth', 'safetensors')


def check_destination(path: Union[str, Path], force: bool = False) -> None:
    """Refuse a path that cannot be written, or exists.

    Args:
        path: The file or folder to write.
        force: Whether an existing file may be replaced.

    Raises:
        UserError: If it may not or cannot be written. Nothing is left behind.
    """
    path = Path(path)
    try:
        if path.exists() and not (force and path.is_file()):
            raise UserError(
                f'{path} exists and is not overwritten: choose another name'
                + (', or add --force.' if path.is_file() else '.'))
        parent = path.absolute().parent
        while not parent.exists():
            parent = parent.parent
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise UserError(f'{path} cannot be written '
                        f'({error.strerror or error}): choose another '
                        'name or folder.') from error


def write_checkpoint(tensors: Dict[str, Tensor], path: Union[str, Path],
                     meta: dict, entry: str = 'state_dict') -> None:
    """Write tensors, and a record about them, to one file.

    Args:
        tensors: Name -> tensor.
        path: The file; its ending tells the format.
        meta: Plain data about the tensors. In a safetensors file it is the
            header's entry 'hpvit_mm', as JSON.
        entry: Entry of a ``.pth`` file that holds the tensors; '' for a file
            of tensors alone. Defaults to 'state_dict'.
    """
    tensors = {name: _alone(tensor) for name, tensor in tensors.items()}
    with replacing(path) as part:
        if Path(path).suffix == '.safetensors':
            # One entry, because the order of several is random, and with it
            # the hash of the file. 'format' is for transformers.
            header = dict(hpvit_mm=json.dumps(meta)) if meta else dict(
                format='pt')
            try:
                save_file(tensors, part, header)
            except SafetensorError as error:  # of a full disk
                raise OSError(str(error)) from error
        else:
            torch.save({entry: tensors, 'meta': meta} if entry else tensors,
                       part)


def _alone(tensor: Tensor) -> Tensor:
    """Return the tensor with a storage of its own size; torch saves all."""
    tensor = tensor.detach()
    own = tensor.untyped_storage().nbytes() == tensor.nbytes
    return tensor if own and tensor.is_contiguous() else tensor.clone(
        memory_format=torch.contiguous_format)
