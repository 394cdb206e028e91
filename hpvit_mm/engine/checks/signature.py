"""What a constructor accepts, and what a misspelt name was meant to be."""
import contextlib
import difflib
import inspect
from typing import (Any, Callable, Dict, Iterable, Iterator, Optional, Set,
                    Tuple, get_type_hints)

from torch import nn


def accepted_arguments(target: Callable) -> Tuple[Set[str], bool]:
    """The keyword arguments of a class or function.

    Returns:
        The names, and whether ``**kwargs`` may take others besides.
    """
    names: Set[str] = set()
    takes_others = False
    for function in constructors(target):
        own, passes_on = _parameters(function)
        names |= own
        takes_others |= passes_on
    return names - {'self'}, takes_others


def hints_of(target: Callable) -> Dict[str, Any]:
    """Argument -> type hint, of a class or function."""
    hints: Dict[str, Any] = {}
    with contextlib.suppress(TypeError, ValueError):  # of a builtin
        for function in constructors(target):
            # its names may not be imported
            with contextlib.suppress(NameError, AttributeError):
                hints = {**get_type_hints(function), **hints}
    return hints


def constructors(target: Callable) -> Iterator[Callable]:
    """The function, or what constructs a class.

    A constructor with ``**kwargs`` passes them on to its base class more
    often than not, so the base classes are followed as far as ``**kwargs``
    reaches.
    """
    if not inspect.isclass(target):
        yield target
        return
    for base in target.__mro__:
        if base in (object, nn.Module):
            return
        init = vars(base).get('__init__')
        if init is not None:
            yield init
            if not _parameters(init)[1]:
                return


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
