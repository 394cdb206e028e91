"""What a checkpoint file is, without loading its tensors."""
from collections import Counter
from pathlib import Path
from typing import Optional

from torch import Tensor

from hpvit_mm.errors import UserError
from .convert import backbone_arguments, own_record, plain_data
from .plain import flatten, read_plain
from .pretrained import used_stages
from .read import read_checkpoint


def describe(checkpoint: str, prefix: Optional[str] = None) -> dict:
    """Describe a checkpoint; its tensors stay on the disk.

    Args:
        checkpoint: A file, an address, or a folder of Hugging Face.
        prefix: As for :func:`~hpvit_mm.checkpoints.fit_pretrained`.

    Returns:
        Plain data: 'file', 'bytes', 'entries' (what is at the top of the
        file), 'tensors', 'parameters', 'dtypes', 'training' (epoch and
        iteration, if any), and 'encoder', a dict with 'layout' and what
        the tensors tell of the architecture, or None with the reason in
        'problem'.

    Raises:
        UserError: If the file cannot be read safely.
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
    plain = read_plain(content, source, prefix,
                       drop=('relative_position', ))
    found = dict(layout=plain.layout, size=plain.size_name,
                 patch_size=list(plain.patch_size),
                 in_channels=plain.tensors[
                     'patch_embed.proj.weight'].shape[1],
                 feedforward_channels=plain.feedforward_channels)
    if plain.layout == 'HPViT':
        found['stages'] = used_stages(plain.tensors)
        found['backbone'] = own_record(content).get('backbone')
        return found
    found.update(
        grid=list(plain.grid) if plain.grid else None,
        prefix_tokens={name: plain.tensors[name].shape[1]
                       for name in plain.prefix_tokens},
        last_norm=[name for name in ('norm', 'fc_norm')
                   if f'{name}.weight' in plain.tensors],
        backbone=plain_data(backbone_arguments(
            plain, patch_size=plain.patch_size[0])),
        drop=sorted({'relative_position' for why in plain.ignored.values()
                     if why.startswith('relative position')}),
        ignored=dict(Counter(plain.ignored.values())))
    return found


def _training(content: dict) -> dict:
    """Where a training stood: from mmengine's meta, or MAE's entries."""
    meta = content.get('meta')
    found = dict(meta) if isinstance(meta, dict) else {}
    found = {key: found.get(key, content.get(key))
             for key in ('epoch', 'iter', 'time', 'mmengine_version')}
    return {key: value for key, value in found.items()
            if isinstance(value, (int, float, str))}


def _kind(value) -> str:
    if isinstance(value, (dict, list, tuple)):
        return f'{type(value).__name__} of {len(value)}'
    text = repr(value)
    return text if len(text) <= 40 else type(value).__name__
