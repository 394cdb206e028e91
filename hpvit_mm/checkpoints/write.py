"""Writing files all or nothing: tensors and plain data, no pickled code."""
import json
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Dict, Iterator, Optional, Union

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from hpvit_mm.errors import UserError

FORMATS = ('pth', 'safetensors')


def check_destination(path: Union[str, Path], force: bool = False) -> None:
    """Refuse a place that cannot be written, or holds something.

    Args:
        path: The file (or folder) to write.
        force: Whether a file that is there may be replaced.

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


@contextmanager
def replacing(path: Union[str, Path]) -> Iterator[Path]:
    """A temporary file that takes the place of ``path`` when it is whole.

    It is flushed to the disk before it is renamed, so that at any moment the
    old file is there, or the new one, never a part.

    Raises:
        UserError: If the disk is full, or the folder cannot be written.
    """
    path = Path(path)
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        mode = part.stat().st_mode
        yield part
        part.chmod(mode)  # safetensors makes its files private
        flush(part)
        os.replace(part, path)
        flush(path.parent)
    # torch and safetensors have errors of their own for a full disk
    except (OSError, RuntimeError, SafetensorError) as error:
        text = getattr(error, 'strerror', None) or str(error).splitlines()[0]
        raise UserError(f'{path} cannot be written ({text}): free some space, '
                        'or choose another folder.') from error
    finally:
        with suppress(OSError):  # the parent may be no folder
            part.unlink()


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_checkpoint(tensors: Dict[str, Tensor], path: Union[str, Path],
                     meta: dict, entry: str = 'state_dict',
                     format: Optional[str] = None) -> None:
    """Write tensors, and a record about them, to one file.

    Args:
        tensors: Name -> tensor.
        path: The file.
        meta: Plain data about the tensors. In a safetensors file it is the
            header's entry 'hpvit_mm', as JSON.
        entry: The entry of a ``.pth`` file that holds the tensors; '' for a
            file of tensors alone. Defaults to 'state_dict'.
        format: 'pth' or 'safetensors'. Defaults to what the file's name ends
            in, and to 'pth'.
    """
    tensors = {name: _alone(tensor) for name, tensor in tensors.items()}
    with replacing(path) as part:
        if (format or Path(path).suffix[1:]) == 'safetensors':
            # One entry, because the order of several is by chance, and with
            # it the hash of the file. 'format' is for transformers.
            save_file(tensors, part, dict(hpvit_mm=json.dumps(meta))
                      if meta else dict(format='pt'))
        else:
            torch.save({entry: tensors, 'meta': meta} if entry else tensors,
                       part)


def _alone(tensor: Tensor) -> Tensor:
    """The tensor with a memory of its own size: torch saves all of it."""
    tensor = tensor.detach()
    own = tensor.untyped_storage().nbytes() == tensor.nbytes
    return tensor if own and tensor.is_contiguous() else tensor.clone(
        memory_format=torch.contiguous_format)
