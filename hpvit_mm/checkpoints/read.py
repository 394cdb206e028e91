"""Read checkpoints without executing anything in them."""
import os
import re
from pathlib import Path
from typing import Any, Optional, Union

from hpvit_mm.errors import UserError
from .download import check_sha256, download, download_from_hub
from .file import read_file
from .folder import read_folder


def read_checkpoint(checkpoint: Union[str, Path],
                    sha256: Optional[str] = None, *,
                    map_location: Any = 'cpu', lazy: bool = True,
                    verify: bool = True) -> dict:
    """Read a checkpoint without executing anything in it.

    Args:
        checkpoint: A file of ``torch.save``, safetensors or ``pickle.dump``
            (detectron2); a folder of Hugging Face; an http(s) URL of a file,
            which is downloaded once to torch's hub folder; or
            ``hf://OWNER/MODEL[@REVISION][/FILE]``.
        sha256: SHA-256 of the file, or its first 8 or more digits.
        map_location: As in ``torch.load``.
        lazy: Map tensors of files instead of reading them, so that unused
            ones need no memory. The files must not be overwritten as long as
            the tensors are used.
        verify: Compare a file of ``torch.save`` with its checksums, which
            torch does not; 0.3 s per GB.

    Returns:
        Content of the file: tensors and plain data. Of safetensors:
        'state_dict' and 'meta', the header's metadata. Of a folder:
        'state_dict' and 'config'.

    Raises:
        UserError: If there is no such file, if it is damaged or not the
            expected one, or if it holds anything but tensors and plain data.
    """
    name = str(checkpoint)
    path = os.path.expanduser(name)
    shown = name
    if name.startswith(('http://', 'https://')):
        path = download(name, sha256)
        shown = f'{path} (copy of {name}; delete it to download it again)'
    elif name.startswith('hf://'):
        path = download_from_hub(name)
    elif '://' in name:
        raise UserError(f'{name} is not a URL that can be read: give an '
                        'http(s) URL, hf://OWNER/MODEL or a path.')
    if os.path.isdir(path):
        if sha256:
            raise UserError(f'{name} is a folder, which has no SHA-256: name '
                            'a file in it, or omit sha256.')
        return read_folder(Path(path), map_location, lazy)
    if not os.path.isfile(path):
        on_hub = f', or name hf://{name} if it is a model of Hugging Face' \
            if re.fullmatch(r'\w[\w.-]*/[\w.-]+(?<!\.pth)(?<!\.pt)', name) \
            else ''
        raise UserError(f'there is no checkpoint file {name}: check the path'
                        f'{on_hub}.')
    if sha256 and shown == name:
        check_sha256(path, sha256, 'copy or download it again')
    return read_file(path, shown, map_location, lazy, verify)
