"""Reading one checkpoint file, in the format that its first bytes tell."""
import os
import pickle
import re
import zipfile
from typing import Any, Optional

import torch

from hpvit_mm.errors import UserError
from .unpickle import foreign_name, load_pickle_file, load_torch_file

SAFETENSORS_HEADER = 100_000_000  # bytes; the format allows no more


def read_file(path: str, name: str, map_location: Any = 'cpu',
              lazy: bool = True, verify: bool = True) -> dict:
    """Read a file of torch.save, safetensors or pickle.dump.

    Args:
        path: The file.
        name: What messages call it.
        map_location: As in ``torch.load``. Tensors of safetensors take a
            device only, and stay on the CPU otherwise, as those of
            pickle.dump always do.
        lazy: Map tensors instead of reading them.
        verify: Compare a file of torch.save with its checksums.

    Returns:
        What the file holds. Of safetensors: 'state_dict' and, from the
        header, 'meta'.

    Raises:
        UserError: If it is no checkpoint, damaged, or holds more than
            tensors and plain data.
    """
    try:
        with open(path, 'rb') as file:
            head = file.read(512)
        _refuse_other_files(head, name)
        if _is_safetensors(head):
            return _read_safetensors(path, map_location)
        if _is_pickle(head):
            content = load_pickle_file(path)
        else:
            content = load_torch_file(path, map_location, lazy)
            if verify and zipfile.is_zipfile(path):
                _check_sums(path, name)
    except UserError:
        raise
    except Exception as error:  # each reader has many of its own
        raise UserError(_sentence(error, name)) from error
    if not isinstance(content, dict):
        raise UserError(f'{name} holds a {type(content).__name__}, not a dict '
                        'of tensors: save the state_dict.')
    if not content:
        raise UserError(f'{name} holds an empty dict: save the state_dict.')
    return content


def broken_record(path: str) -> Optional[str]:
    """What is wrong in a file of torch.save, None if nothing is.

    Since torch 1.6 such a file is a zip archive, with checksums that torch
    writes, unless it is told not to, but does not look at.
    """
    try:
        with zipfile.ZipFile(path) as file:
            if not any(record.CRC for record in file.infolist()):
                return None
            broken = file.testzip()
    except zipfile.BadZipFile as error:
        return str(error)
    return f'{broken} does not have its checksum' if broken else None


def _check_sums(path: str, name: str) -> None:
    broken = broken_record(path)
    if broken:
        raise UserError(f'{name} is damaged: copy or download it again '
                        f'({broken}).')


def _refuse_other_files(head: bytes, name: str) -> None:
    """Recognise what is often found in a checkpoint's place."""
    again = 'copy or download it again.'
    if not head:
        raise UserError(f'{name} is empty: {again}')
    if head.startswith(b'version https://git-lfs'):
        raise UserError(f'{name} is a pointer of git-lfs, not the file '
                        'itself: fetch it with git lfs pull.')
    if re.match(rb'\s*<(!doctype|html)', head, re.I):
        raise UserError(f'{name} is a web page, not a checkpoint: download '
                        'the file itself.')
    if re.fullmatch(rb'[\t\n\r\x20-\x7e]+', head):
        raise UserError(f'{name} is a text file, not a checkpoint: {again}')


def _is_safetensors(head: bytes) -> bool:
    """Whether a file starts with the length of a JSON header and this."""
    length = int.from_bytes(head[:8], 'little')
    return head[8:9] == b'{' and length <= SAFETENSORS_HEADER


def _is_pickle(head: bytes) -> bool:
    """Whether a file is pickled, but not by torch.save before 1.6."""
    magic = torch.serialization.MAGIC_NUMBER.to_bytes(10, 'little')
    return head[:1] == pickle.PROTO and magic not in head[:40]


def _read_safetensors(path: str, map_location: Any) -> dict:
    from safetensors import safe_open
    device = 'cpu'
    if isinstance(map_location, (str, torch.device)):
        device = str(map_location)
    with safe_open(path, 'pt', device=device) as file:
        return dict(
            state_dict={key: file.get_tensor(key) for key in file.keys()},
            meta=dict(file.metadata() or {}))


def _sentence(error: Exception, name: str) -> str:
    what = foreign_name(error)
    if what:
        return (f'{name} holds more than tensors and plain data ({what}) and '
                'was not read, because such a file can execute code: save '
                'its state_dict alone, with torch.save, where you trust it.')
    if isinstance(error, OSError) and error.errno:
        return (f'{name} cannot be read ({os.strerror(error.errno)}): check '
                'its permissions and its disk.')
    # torch explains at length how to load the file without protection
    text = str(error).split('WeightsUnpickler error:')[-1].strip()
    reason = (text.splitlines() or [repr(error)])[0][:150]
    return (f'{name} cannot be read as a checkpoint, it is damaged or of '
            f'another kind: copy or download it again ({reason}).')
