"""Families of checkpoints, and formats that an HPViT is exported to."""
import re
from dataclasses import dataclass
from typing import Dict, Iterable, Tuple

import torch
from torch import Tensor

from hpvit_mm.errors import UserError

Renames = Tuple[Tuple[str, str], ...]


def rename(name: str, renames: Renames) -> str:
    """Apply regular expressions and replacements one after the other."""
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


@dataclass(frozen=True)
class Family:
    """Names of the tensors in one family of checkpoint files.

    Attributes:
        name: Name in the load report.
        anchor: Regular expression for the name of the patch embedding,
            without '.weight'. What precedes it is the encoder's prefix.
        marks: Regular expressions; each must match the start of a name.
        renames: Regular expressions and replacements that lead to MAE's
            names. Names that none of them matches stay as they are.
    """
    name: str
    anchor: str
    marks: Tuple[str, ...] = ()
    renames: Renames = ()

    def matches(self, names: Iterable[str]) -> bool:
        """Return whether a file with these names is of this family."""
        names = tuple(names)
        return all(any(re.match(mark, name) for name in names)
                   for mark in (self.anchor + r'\.', *self.marks))


@dataclass(frozen=True)
class Target:
    """Format of a plain ViT that an HPViT can be exported to.

    Attributes:
        entry: Entry of a ``.pth`` file that holds the tensors; '' if the
            file holds nothing else.
        renames: Regular expressions and replacements that lead from MAE's
            names to those of the format.
        lacks: Parts of names that the format has no place for.
        needs: Names of tensors that its models always have.
        model: Class of transformers that reads it; '' for files.
    """
    entry: str = ''
    renames: Renames = ()
    lacks: Tuple[str, ...] = ()
    needs: Tuple[str, ...] = ()
    model: str = ''

    def check(self, tensors: Iterable[str], source: str, what: str) -> None:
        """Refuse tensors that the format cannot hold.

        Args:
            tensors: Their names, as MAE's.
            source: Name of the file, for the message.
            what: The format, for the message.

        Raises:
            UserError: If one of them is in ``lacks``, or one of ``needs`` is
                missing.
        """
        for part in self.lacks:
            if any(part in name for name in tensors):
                raise UserError(f'{source} has {part}, which {what} has no '
                                'place for: use --to timm.')
        for name in self.needs:
            if name not in tensors:
                raise UserError(f'{source} has no {name}, which {what} always '
                                'has: use --to timm.')


def fuse_qkv(tensors: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Concatenate queries, keys and values that a family keeps apart.

    Those are separate matrices and biases (Hugging Face), or biases of
    queries and values beside one matrix (BEiT: a bias of the keys would
    change nothing, and becomes zeros).

    Args:
        tensors: Tensors by MAE's names, except for the parts of ``attn``.

    Returns:
        The tensors with ``attn.qkv.weight`` (3 * C, C) and, where there is
        any bias, ``attn.qkv.bias`` (3 * C), in which an absent part is zero.
        An incomplete triple of weights is dropped, and later reported as
        missing.
    """
    found = {}
    for name, tensor in tensors.items():
        part = re.match(
            r'(blocks\.\d+\.attn\.)(?:(q|k|v)(?:uery|ey|alue)?\.(weight|bias)'
            r'|(q|v)_(bias))$', name)
        if part:
            fused = f'{part[1]}qkv.{part[3] or part[5]}'
            found.setdefault(fused, {})[part[2] or part[4]] = tensor
        else:
            found[name] = tensor
    for name, parts in found.items():
        if isinstance(parts, dict):
            if name.endswith('bias'):
                zeros = torch.zeros_like(next(iter(parts.values())))
                parts = {key: parts.get(key, zeros) for key in 'qkv'}
            if set(parts) == {'q', 'k', 'v'}:
                found[name] = torch.cat([parts[key] for key in 'qkv'])
    return {n: t for n, t in found.items() if isinstance(t, Tensor)}


def fuse_mlp(tensors: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Concatenate the first layers of SwiGLU: gate, then value.

    A value without a gate is the first layer of a plain MLP, which has its
    name in transformers' DINOv3.
    """
    found = dict(tensors)
    for name in tensors:
        if '.mlp.up.' in name:
            gate = found.pop(name.replace('.up.', '.gate.'), None)
            up = found.pop(name)
            found[name.replace('.up.', '.fc1.')] = up if gate is None \
                else torch.cat([gate, up])
    return found


def split_qkv(tensors: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Split queries, keys and values; the inverse of :func:`fuse_qkv`."""
    found = {}
    for name, tensor in tensors.items():
        if '.attn.qkv.' not in name:
            found[name] = tensor
            continue
        for part, one in zip(('query', 'key', 'value'), tensor.chunk(3)):
            found[name.replace('.qkv.', f'.{part}.')] = one
    return found


def split_mlp(tensors: Dict[str, Tensor], gate: str, up: str
              ) -> Dict[str, Tensor]:
    """Split the first layers of SwiGLU; the inverse of :func:`fuse_mlp`."""
    found = {}
    for name, tensor in tensors.items():
        if '.mlp.fc1.' in name:
            for part, one in zip((gate, up), tensor.chunk(2)):
                found[name.replace('.fc1.', f'.{part}.')] = one
        else:
            found[name] = tensor
    return found


def split_bias(tensors: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Split biases of queries and values, and drop that of the keys."""
    found = {}
    for name, tensor in tensors.items():
        if name.endswith('.attn.qkv.bias'):
            for part, one in zip('qkv', tensor.chunk(3)):
                found[name.replace('qkv.bias', f'{part}_bias')] = one
        else:
            found[name] = tensor
    return {n: t for n, t in found.items() if not n.endswith('.attn.k_bias')}
