"""Publish checkpoints: tensors, a record, and a hash in the name."""
import json
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Union

from torch import Tensor

import hpvit_mm
from hpvit_mm.errors import UserError
from .convert import own_record, plain_data
from .download import file_sha256
from .plain import flatten
from .read import read_checkpoint
from .report import check_finite
from .write import FORMATS, check_destination, write_checkpoint

KEPT_META = ('epoch', 'iter', 'dataset_meta', 'mmengine_version')


def publish(checkpoint: str, out: Union[str, Path],
            force: bool = False) -> List[Path]:
    """Write a training checkpoint without what only a training needs.

    Optimizer, schedules, logs and the config's text are dropped. Kept are the
    weights (averaged ones, if the training averaged), the class names, and
    the epoch and iteration.

    Args:
        checkpoint: A training checkpoint, of a whole model or a backbone.
        out: Name of the files to write, without ending and hash.
        force: Whether files of the same names may be replaced.

    Returns:
        ``OUT-<first 8 digits of its SHA-256>.pth`` and ``.safetensors``.

    Raises:
        UserError: If the file has no weights, has NaN, or cannot be read
            safely, or if the destination cannot be written.
    """
    out = Path(out)
    check_destination(out.with_name(f'{out.name}.new'), force)
    content = read_checkpoint(checkpoint)
    tensors = flatten(content)
    if not tensors:
        raise UserError(f'{checkpoint} holds no weights: name a checkpoint '
                        'that tools/train.py wrote.')
    check_finite(tensors, str(checkpoint), allow_infinity=True)
    meta = _record(content, checkpoint, tensors)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix='.') as folder:
        written = {}
        for format in FORMATS:
            part = Path(folder, f'{out.name}.{format}')
            write_checkpoint(tensors, part, meta)
            written[part] = out.with_name(
                f'{out.name}-{file_sha256(part)[:8]}.{format}')
        for path in written.values():
            check_destination(path, force)
        for part, path in written.items():
            part.replace(path)
    return list(written.values())


def _record(content: dict, checkpoint: str,
            tensors: Dict[str, Tensor]) -> dict:
    meta = content.get('meta')
    meta = meta if isinstance(meta, dict) else {}
    return dict(
        own_record(content),
        **{key: meta[key] for key in KEPT_META
           if key in meta and _is_plain(meta[key])},
        hpvit_mm=hpvit_mm.__version__, source=Path(checkpoint).name,
        parameters=sum(tensor.numel() for tensor in tensors.values()))


def _is_plain(value: Any) -> bool:
    """Return whether JSON can hold a value, but for tuples."""
    try:
        return json.loads(json.dumps(value)) == plain_data(value)
    except (TypeError, ValueError):
        return False
