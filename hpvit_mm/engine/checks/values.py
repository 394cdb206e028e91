"""Whether the values in the config are such as are taken."""
import inspect
import math
import numbers
import types
from typing import Any, Callable, Union, get_args, get_origin

from mmengine.config import Config
from torch import Tensor

from hpvit_mm.errors import UserError

from .signature import hints_of

UNIONS = (Union, types.UnionType)  # the second is of int | str
# Keys of a data loader -> the least that they may be.
LOADERS = dict(batch_size=1, num_workers=0)
# Keys of train_cfg: with less than 1 nothing is trained, or an epoch fails.
LENGTHS = ('max_epochs', 'max_iters', 'val_interval')


def check_texts(entry: dict, target: Callable, path: str) -> None:
    """A text must not stand where a constructor's hint tells of numbers.

    No more is checked: of lists and dicts the hosts' own hints are often
    wrong.

    Args:
        entry: The dict, with its type.
        target: The class that it names.
        path: Where it stands.
    """
    texts = [key for key, value in entry.items() if isinstance(value, str)]
    hints = hints_of(target) if texts else {}
    for key in texts:
        if key in hints and is_number(hints[key]):
            name = getattr(target, '__name__', str(target))
            raise UserError(f'{path}.{key} is {entry[key]!r}, but {name} '
                            'takes a number; correct it')


def check_loader(cfg: Config, loader: str) -> None:
    """Check the numbers that torch's DataLoader and the samplers get."""
    for key, least in LOADERS.items():
        check_whole(cfg[loader].get(key, least), least, f'{loader}.{key}')


def check_lengths(cfg: Config) -> None:
    """Check how long a training is, and how far apart its validations."""
    for key in LENGTHS:
        value = cfg.train_cfg.get(key)
        if isinstance(value, numbers.Real) and value < 1:
            raise UserError(f'train_cfg.{key} is {value}, but must be at '
                            'least 1; correct it')


def check_seed(cfg: Config) -> None:
    """A seed is one of numpy's, which are the smallest."""
    seed = (cfg.get('randomness') or {}).get('seed')
    if seed is not None:
        check_whole(seed, 0, 'randomness.seed', 2**32 - 1)


def check_whole(value: Any, least: int, path: str,
                most: float = math.inf) -> None:
    """Check that a value is a whole number in a range."""
    if not isinstance(value, int) or not least <= value <= most:
        to = 'on' if most == math.inf else f'to {most}'
        raise UserError(f'{path} is {value!r}, but must be a whole number '
                        f'from {least} {to}; correct it')


def is_number(hint: Any) -> bool:
    """Whether a hint is of numbers: one, or None, and nothing else.

    What was a bool once may be a word by now, whatever its hint says.
    """
    kinds = get_args(hint) if get_origin(hint) in UNIONS else (hint, )
    return bool not in kinds and all(inspect.isclass(kind) and issubclass(
        kind, (numbers.Number, Tensor, type(None))) for kind in kinds)
