"""Checkpoints for others: tensors, a plain record, and a hash in the name."""
import hashlib
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Union

from torch import Tensor

import hpvit_mm
from hpvit_mm.errors import UserError
from .convert import own_record
from .plain import flatten
from .read import read_checkpoint
from .write import FORMATS, check_destination, write_checkpoint

PLAIN_TYPES = (str, int, float, bool, type(None))


def publish(checkpoint: str, out: Union[str, Path],
            force: bool = False) -> List[Path]:
    """Write a training's checkpoint without what only a training needs.

    Optimizer, schedules, logs and the config's text are left out. Kept are
    the weights (averaged ones, where the training averaged), the names of the
    classes, and where the training stood.

    Args:
        checkpoint: The file of a training, of a whole model or a backbone.
        out: Name of the files to write, without ending and hash.
        force: Whether files of the same names may be replaced.

    Returns:
        ``OUT-<first 8 digits of its SHA-256>.pth`` and ``.safetensors``.

    Raises:
        UserError: If the file has no weights or cannot be read safely, or if
            the destination cannot be written.
    """
    out = Path(out)
    check_destination(out.with_name(f'{out.name}.new'), force)
    content = read_checkpoint(checkpoint)
    tensors = flatten(content)
    if not tensors:
        raise UserError(f'{checkpoint} holds no weights: name a checkpoint '
                        'that tools/train.py wrote.')
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix='.') as folder:
        written = []
        for format in FORMATS:
            part = Path(folder, f'{out.name}.{format}')
            write_checkpoint(tensors, part, record(content, checkpoint,
                                                   tensors))
            digest = sha256(part)[:8]
            written.append((part, out.with_name(
                f'{out.name}-{digest}.{format}')))
        for _, path in written:
            check_destination(path, force)
        for part, path in written:
            part.replace(path)
    return [path for _, path in written]


def record(content: dict, checkpoint: str,
           tensors: Dict[str, Tensor]) -> dict:
    """What a published file tells besides its tensors, as plain data."""
    meta = content.get('meta')
    meta = meta if isinstance(meta, dict) else {}
    kept = {key: meta[key] for key in
            ('epoch', 'iter', 'dataset_meta', 'mmengine_version')
            if key in meta and is_plain(meta[key])}
    return dict(
        own_record(content), **kept, hpvit_mm=hpvit_mm.__version__,
        source=Path(checkpoint).name,
        parameters=sum(tensor.numel() for tensor in tensors.values()))


def is_plain(value: Any) -> bool:
    """Whether a value is made of lists, dicts, numbers and strings alone."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(one)
                   for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    return isinstance(value, PLAIN_TYPES)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
