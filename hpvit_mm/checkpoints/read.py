"""Reading checkpoints without executing anything in them."""
import os
from pathlib import Path
from typing import Any, Optional, Union

from hpvit_mm.errors import UserError
from .download import check_sha256, download
from .file import read_file
from .folder import read_folder


def read_checkpoint(checkpoint: Union[str, Path],
                    sha256: Optional[str] = None, *,
                    map_location: Any = 'cpu', lazy: bool = True,
                    verify: bool = True) -> dict:
    """Read a checkpoint without executing anything in it.

    Args:
        checkpoint: A file of ``torch.save``, safetensors or ``pickle.dump``
            (as detectron2 has); an http(s) address of one, which is
            downloaded once to torch's hub folder; or a folder of Hugging
            Face.
        sha256: What the SHA-256 of the file must be, or its first 8 or more
            digits.
        map_location: As in ``torch.load``.
        lazy: Map tensors of files instead of reading them, so that what is
            not used needs no memory. The files must not be overwritten as
            long as the tensors are used.
        verify: Compare a file of ``torch.save`` with its checksums, which
            torch does not; 0.3 s per GB.

    Returns:
        What the file holds: tensors and plain data. Of safetensors:
        'state_dict' and 'meta', what the header says. Of a folder:
        'state_dict' and 'config'.

    Raises:
        UserError: If there is no such file, if it is damaged or not the one
            expected, or if it holds anything but tensors and plain data.
    """
    name = str(checkpoint)
    if name.startswith(('http://', 'https://')):
        path = download(name, sha256)
        copy = f'{path} (copy of {name}; delete it to have it fetched again)'
        return read_file(path, copy, map_location, lazy, verify)
    if '://' in name:
        raise UserError(f'{name} is no address that can be read: give an '
                        'http(s) address or the path of a file.')
    path = os.path.expanduser(name)
    if os.path.isdir(path):
        if sha256:
            raise UserError(f'{name} is a folder, which has no SHA-256: name '
                            'a file in it, or leave sha256 away.')
        return read_folder(Path(path), map_location, lazy)
    if not os.path.isfile(path):
        raise UserError(f'there is no checkpoint file {name}: check the path.')
    if sha256:
        check_sha256(path, sha256, 'copy or download it again')
    return read_file(path, name, map_location, lazy, verify)
