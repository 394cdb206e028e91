"""Describe a checkpoint file without loading its tensors."""
from collections import Counter
from pathlib import Path
from typing import Any, Optional

from torch import Tensor

from hpvit_mm.errors import UserError
from .adapt import used_stages
from .architecture import candidates, heads_of, nearest, needs_name
from .convert import backbone_arguments, own_record, plain_data
from .plain import DROPPABLE, flatten, read_plain
from .read import read_checkpoint


def describe(checkpoint: str, prefix: Optional[str] = None) -> dict:
    """Describe a checkpoint; its tensors stay on the disk.

    Returns:
        Plain data: 'file', 'bytes', 'entries' (at the top of the file),
        'tensors', 'parameters', 'dtypes', 'training' (epoch and iteration, if
        any), and 'encoder', a dict with 'family' and what the tensors tell of
        the architecture, or None with the reason in 'problem'.
    """
    content = read_checkpoint(checkpoint)
    tensors = flatten(content)
    path = Path(checkpoint).expanduser()
    files = [path] if path.is_file() else sorted(path.glob('*.safetensors'))
    found = dict(
        file=str(checkpoint),
        bytes=sum(one.stat().st_size for one in files) or None,
        entries={str(key): _kind(value) for key, value in content.items()
                 if not isinstance(value, Tensor)},
        tensors=len(tensors),
        parameters=sum(tensor.numel() for tensor in tensors.values()),
        dtypes=dict(Counter(str(tensor.dtype).replace('torch.', '')
                            for tensor in tensors.values())),
        training=_training(content), encoder=None, problem=None)
    try:
        found['encoder'] = _encoder(content, str(checkpoint), prefix)
    except UserError as error:
        found['problem'] = str(error)
    return found


def _encoder(content: dict, source: str, prefix: Optional[str]) -> dict:
    plain = read_plain(content, source, prefix, drop=['relative_position'])
    found = dict(family=plain.family, size=plain.size_name,
                 patch_size=list(plain.patch_size),
                 in_channels=plain.in_channels,
                 feedforward_channels=plain.feedforward_channels)
    if plain.is_hpvit:
        return dict(found, stages=used_stages(plain.tensors),
                    backbone=own_record(content).get('backbone'))
    ignored = Counter(plain.ignored.values())
    names = candidates(plain)
    told = {'act', 'rotary'} <= plain.told.keys()
    known = names[0] if names and not told and needs_name(plain) else None
    return dict(
        found, architectures=names, differences=None if names else nearest(
            plain), grid=list(plain.grid) if plain.grid else None,
        prefix_tokens=plain.prefix_tokens,
        last_norm=[name for name in ('norm', 'fc_norm')
                   if f'{name}.weight' in plain.tensors],
        backbone=plain_data(backbone_arguments(
            plain, known=known)),
        prefix=prefix, heads_are_known=bool(heads_of(plain)),
        arch_is_known=told or bool(names) or not needs_name(plain),
        drop=[kind for kind in DROPPABLE if any(
            why.startswith(kind.replace('_', ' ')) for why in ignored)],
        ignored=dict(ignored))


def _training(content: dict) -> dict:
    """Return where a training stood, from mmengine's meta or MAE's entries."""
    meta = content.get('meta')
    meta = meta if isinstance(meta, dict) else {}
    found = {key: meta.get(key, content.get(key))
             for key in ('epoch', 'iter', 'time', 'mmengine_version')}
    return {key: value for key, value in found.items()
            if isinstance(value, (int, float, str))}


def _kind(value: Any) -> str:
    if isinstance(value, (dict, list, tuple)):
        return f'{type(value).__name__} of {len(value)}'
    text = repr(value)
    return text if len(text) <= 40 else type(value).__name__
