"""Report of what a checkpoint was used for, and the check of its values."""
from dataclasses import dataclass, field
from typing import Dict, List, Tuple

from torch import Tensor

from hpvit_mm.errors import UserError
from hpvit_mm.utils import shorten


@dataclass
class LoadReport:
    """Report of how the tensors of a checkpoint were used.

    Attributes:
        source: The file or URL.
        family: The family whose names the tensors have.
        used: Names in the backbone of the tensors that are loaded.
        resampled: Name -> (old size, new size) of those that had to change.
        new: Name in the backbone -> initial value, of what the file lacks.
        ignored: Name in the file -> why it is not used.
        notes: Sentences about what the tensors cannot tell.
    """
    source: str
    family: str
    used: List[str] = field(default_factory=list)
    resampled: Dict[str, Tuple] = field(default_factory=dict)
    new: Dict[str, str] = field(default_factory=dict)
    ignored: Dict[str, str] = field(default_factory=dict)
    notes: List[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f'Pre-trained weights from {self.source}:',
                 f'  names like {self.family}',
                 f'  used       {len(self.used)} tensors']
        for name, (source, target) in self.resampled.items():
            lines.append(f'  resampled  {name} from {source} to {target}')
        for title, names in (('new', self.new), ('ignored', self.ignored)):
            for why in dict.fromkeys(names.values()):
                group = [name for name in names if names[name] == why]
                lines.append(f'  {title:<9}  {len(group)} tensor'
                             f'{"s" * (len(group) > 1)} ({why}): '
                             f'{shorten(group, 3)}')
        lines += [f'  note       {note}' for note in self.notes]
        return '\n'.join(lines)


def check_finite(tensors: dict, source: str,
                 allow_infinity: bool = False) -> None:
    """Refuse weights that are not finite.

    Args:
        tensors: Name -> tensor; other values are skipped.
        source: The file or URL, for messages.
        allow_infinity: Whether only NaN is refused, because a model may keep
            a mask of minus infinity. Defaults to False.

    Raises:
        UserError: Names the tensors.
    """
    bad = [str(name) for name, tensor in tensors.items()
           if isinstance(tensor, Tensor) and tensor.is_floating_point()
           and (tensor.isnan().any() if allow_infinity
                else not tensor.isfinite().all())]
    if bad:
        raise UserError(
            f'{source} has NaN{"" if allow_infinity else " or infinity"} in '
            f'{shorten(bad, 3)}: its training diverged, or it is damaged; '
            'use another checkpoint. Nothing was loaded.')
