"""Read one checkpoint file, in the format that its first bytes tell."""
import os
import pickle
import re
import zipfile
from typing import Any, Optional

import torch

from hpvit_mm.errors import UserError
from .unpickle import foreign_name, load_pickle_file, load_torch_file

SAFETENSORS_HEADER = 100_000_000  # bytes; the format allows no more
# What is often found in a checkpoint's place: (first bytes, what to say).
OTHER_FILES = (
    (rb'version https://git-lfs', 'is a pointer of git-lfs, not the file '
     'itself: fetch it with git lfs pull'),
    (rb'(?i)\s*<(!doctype|html)',
     'is a web page, not a checkpoint: download the file itself'),
    (rb'[\t\n\r\x20-\x7e]+\Z',
     'is a text file, not a checkpoint: copy or download it again'),
    (rb'\Z', 'is empty: copy or download it again'),
)


def read_file(path: str, name: str, map_location: Any = 'cpu',
              lazy: bool = True, verify: bool = True) -> dict:
    """Read a file as :func:`read_checkpoint` does; ``name`` is for messages.

    Tensors of safetensors are on the CPU if ``map_location`` is more than a
    device, and those of pickle.dump always are.
    """
    try:
        with open(path, 'rb') as file:
            head = file.read(512)
        for pattern, says in OTHER_FILES:
            if re.match(pattern, head):
                raise UserError(f'{name} {says}.')
        if head[8:9] == b'{' and int.from_bytes(
                head[:8], 'little') <= SAFETENSORS_HEADER:
            return _read_safetensors(path, map_location)
        if _is_pickle(head):
            content = load_pickle_file(path)
        else:
            content = load_torch_file(path, map_location, lazy)
            broken = verify and zipfile.is_zipfile(path) and \
                broken_record(path)
            if broken:
                raise UserError(f'{name} is damaged: copy or download it '
                                f'again ({broken}).')
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
    """Return what is wrong in a file of torch.save, None if nothing is.

    Since torch 1.6 such a file is a zip archive with checksums, unless torch
    was told to omit them; torch does not check them.
    """
    try:
        with zipfile.ZipFile(path) as file:
            if not any(record.CRC for record in file.infolist()):
                return None
            broken = file.testzip()
    except zipfile.BadZipFile as error:
        return str(error)
    return f'{broken} does not have its checksum' if broken else None


def _is_pickle(head: bytes) -> bool:
    """Return whether a file is pickled, but not by torch.save before 1.6."""
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
    reason = re.split(r'\.\s|\n', text or repr(error))[0][:150]
    return (f'{name} cannot be read as a checkpoint, it is damaged or of '
            f'another kind: copy or download it again ({reason}).')
