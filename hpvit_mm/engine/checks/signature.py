"""What a constructor accepts, and what a misspelt name was meant to be."""
import difflib
import inspect
from typing import Callable, Iterable, Optional, Set, Tuple

from torch import nn


def accepted_arguments(target: Callable) -> Tuple[Set[str], bool]:
    """The keyword arguments of a class or function.

    A constructor with ``**kwargs`` passes them on to its base class more
    often than not, so the base classes are followed as far as ``**kwargs``
    reaches.

    Returns:
        The names, and whether ``**kwargs`` may take others besides.
    """
    if not inspect.isclass(target):
        return _parameters(target)
    names: Set[str] = set()
    takes_others = False
    for base in target.__mro__:
        init = vars(base).get('__init__')
        if init is None:
            continue
        if base in (object, nn.Module):
            break
        own, passes_on = _parameters(init)
        names |= own
        takes_others |= passes_on
        if not passes_on:
            break
    return names - {'self'}, takes_others


def _parameters(function: Callable) -> Tuple[Set[str], bool]:
    parameters = inspect.signature(function).parameters.values()
    names = {
        one.name for one in parameters
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    }
    return names, any(one.kind is one.VAR_KEYWORD for one in parameters)


def is_unknown(name: str, names: Iterable[str], takes_others: bool) -> bool:
    """Whether a name is a mistake.

    Where others may be accepted besides ``names``, only what looks like a
    misspelling of one of them counts.
    """
    names = set(names)
    if name in names:
        return False
    return not takes_others or nearest(name, names) is not None


def nearest(word: str, words: Iterable[str]) -> Optional[str]:
    """The word that was probably meant."""
    found = difflib.get_close_matches(str(word), sorted(map(str, words)),
                                      n=1, cutoff=0.75)
    return found[0] if found else None


def hint(word: str, words: Iterable[str]) -> str:
    """The end of a sentence about an unknown name."""
    words = sorted(map(str, words))
    guess = nearest(word, words)
    if guess:
        return f'did you mean {guess}?'
    if len(words) > 40:
        return 'correct its spelling, or remove it'
    return f'allowed are: {", ".join(words)}' if words else 'remove it'
