"""Build parts of the config; an error becomes a sentence that names the key.
"""
import contextlib
import copy
import difflib
import inspect
import io
import re
import textwrap
import warnings
from typing import Any, Callable, Iterable, Iterator, Optional, Tuple

import mmengine.registry as registries
import torch
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope, Registry

from hpvit_mm.errors import UserError

ROOTS = [one for one in vars(registries.root).values()
         if isinstance(one, Registry)]
# Whose errors are about the config. Another class may be at fault itself, so
# that its traceback is of more use.
LIBRARIES = ('hpvit_mm', 'mmcv', 'mmdet', 'mmengine', 'mmpretrain', 'mmseg',
             'torch', 'torchvision')
UNEXPECTED = re.compile(
    r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'")
LACKING = re.compile(
    r"(\w+)\.__init__\(\) missing \d+ required (?:positional|keyword-only) "
    r"arguments?: (.+)")
UNKNOWN = re.compile(r"(\S+) is not in the (?:\S+?::)?(.+?) registry")


def build(function: Callable, entry: dict, path: str) -> Any:
    """Build a part of a run from an entry of the config.

    Args:
        function: What builds the part from a copy of the entry.
        entry: The entry.
        path: Its place in the config, such as ``model.backbone``.

    Raises:
        UserError: In place of an error of a class of the libraries.
    """
    with building(entry, path, function), quiet():
        return function(copy.deepcopy(entry))


@contextlib.contextmanager
def building(entry: dict, path: str, function: Optional[Callable] = None
             ) -> Iterator[None]:
    """Turn an error of building an entry of the config into a UserError.

    Args:
        entry: The entry.
        path: Its place in the config.
        function: What builds it, if it may be called again to find the key
            that is refused.

    Raises:
        UserError: In place of an error of a class of the libraries.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        sentence = None if 'process group' in str(error) else explain(
            error, entry, path, function)
        if sentence is None:
            raise
        raise UserError(sentence) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop logs, warnings and prints: the run itself will repeat them."""
    logger = MMLogger.get_current_instance()

    def drop(record) -> bool:
        return False

    logger.addFilter(drop)
    try:
        with warnings.catch_warnings(), \
                contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.removeFilter(drop)


def explain(error: Exception, entry: dict, path: str,
            function: Optional[Callable] = None) -> Optional[str]:
    """One sentence about an error, or None if it may be a fault of code."""
    text = first_text(error)
    typed = list(typed_dicts(entry, path))
    unknown = UNKNOWN.search(text)
    name = unknown[1].strip('\'"') if unknown else None
    if not name and 'None' in text:  # a type was looked up without success
        name = next((one['type'] for _, one in typed
                     if not any(classes_of(one['type']))), None)
    if name:
        place = next((where for where, one in typed if one['type'] == name),
                     path)
        kind = unknown[2] if unknown else 'type'
        return f'{place}: there is no {name} among the {kind}s; ' + hint(
            name, known_types(kind), 'correct its type, or import what '
            'registers it by custom_imports')
    place, one, target, function = culprit(text, typed, entry, path, function)
    unexpected = UNEXPECTED.search(text)
    if unexpected:
        name, key = unexpected.groups()
        return f'{place}.{key}: {name} has no argument {key}; ' + hint(
            key, argument_names(target))
    if target and target.__module__.split('.')[0] not in LIBRARIES:
        return None
    lacking = LACKING.search(text)
    if lacking:
        return f'{place}: {lacking[1]} needs {lacking[2]}; add it'
    if not isinstance(error, (AssertionError, ValueError)):
        text = f'{type(error).__name__}: {text}'
    text = textwrap.shorten(text, 300, placeholder=' ...')
    name = getattr(target, '__name__', 'the library')
    refused = refused_key(first_text(error), one, function) if function \
        else None
    if refused:
        key, value = refused
        return f'{place}.{key} is {value!r}, which {name} refuses ' \
            f'({text}); correct it'
    return f'{place}: {name} cannot be built from its entry ' \
        f'({text}); correct it'


def refused_key(text: str, entry: dict, function: Callable
                ) -> Optional[Tuple[str, Any]]:
    """Find the only key without which the error is gone, and its value.

    Args:
        text: The text of the error.
        entry: The entry that cannot be built.
        function: What builds it.
    """
    cured, changed = [], []
    for keys, value in leaves(entry):
        less = copy.deepcopy(entry)
        node = less
        for key in keys[:-1]:
            node = node[key]
        del node[keys[-1]]
        found = '.'.join(map(str, keys)), value
        try:
            with quiet():
                function(less)
            cured.append(found)
        except Exception as error:
            if first_text(error) != text:
                changed.append(found)
    likely = cured or changed
    if len(likely) > 1:  # the text may tell which
        likely = [(key, value) for key, value in likely
                  if key.rpartition('.')[2] in text or repr(value) in text
                  or isinstance(value, str)]
    return likely[0] if len(likely) == 1 else None


def leaves(node: dict, keys: tuple = ()) -> Iterator[Tuple[tuple, Any]]:
    """The values inside of dicts, with their keys, except for types."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*keys, key))
        elif key not in ('type', 'constructor'):
            yield (*keys, key), value


def first_text(error: BaseException) -> str:
    """The text of an error before a registry repeated it with a prefix."""
    while type(error.__context__) is type(error) \
            and str(error.__context__) in str(error):
        error = error.__context__
    text = error.args[0] if isinstance(error, KeyError) and error.args \
        else error
    return ' '.join(str(text).split()) or type(error).__name__


def culprit(text: str, typed: list, entry: dict, path: str,
            function: Optional[Callable]) -> tuple:
    """Find the innermost dict that fails alone with the same error.

    Args:
        text: The text of the error.
        typed: The dicts with a type and their places, outer ones first.
        entry: The whole.
        path: Its place.
        function: What builds the whole.

    Returns:
        The place, the dict, the class that it names, and what builds it.
    """
    for place, one in reversed(typed):
        if one is entry:
            continue
        for registry, target in classes_of(one['type']):

            def again(one: dict, registry: Registry = registry) -> Any:
                with torch.device('meta'):
                    return registry.build(copy.deepcopy(one))

            try:
                with quiet():
                    again(one)
            except Exception as error:
                if first_text(error) == text:
                    return place, one, target, again
    targets = [target for _, target in classes_of(entry.get('type'))]
    return path, entry, targets[0] if targets else None, function


def classes_of(name: Any) -> Iterator[Tuple[Registry, Callable]]:
    """The registries that know a type in the current scope, and its class.

    Which of them builds a dict inside a model is known to its parent only.
    """
    for root in ROOTS:
        with quiet(), contextlib.suppress(Exception), \
                root.switch_scope_and_registry(None) as registry:
            found = registry.get(name) if isinstance(name, str) else name
            if found:
                yield root, found


def typed_dicts(node: Any, path: str) -> Iterator[Tuple[str, dict]]:
    """All dicts with a ``type`` and their places, outer ones first."""
    if isinstance(node, dict):
        if 'type' in node:
            yield path, node
        for key, value in node.items():
            yield from typed_dicts(value, f'{path}.{key}' if path else key)
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from typed_dicts(value, f'{path}.{index}')


def known_types(kind: str) -> set:
    """The types of a kind, such as 'model', or of all ('type')."""
    current = DefaultScope.get_current_instance()
    names = set()
    for root in ROOTS:
        if kind not in (root.name, 'type'):
            continue
        names |= set(root.module_dict)
        for scope, child in root.children.items():
            own = {*child.module_dict, *getattr(child, 'on_demand', ())}
            names |= {f'{scope}.{name}' for name in own}
            if current and scope == current.scope_name:
                names |= own
    return names


def argument_names(target: Optional[Callable]) -> set:
    """The arguments of a class and of its bases."""
    names = set()
    for base in getattr(target, '__mro__', (target, )):
        with contextlib.suppress(TypeError, ValueError):
            names |= set(inspect.signature(base).parameters)
    return names - {'args', 'kwargs'}


def nearest(word: str, words: Iterable[str], cutoff: float = 0.75
            ) -> Optional[str]:
    """The word that was probably meant."""
    found = difflib.get_close_matches(str(word), sorted(map(str, words)),
                                      n=1, cutoff=cutoff)
    return found[0] if found else None


def hint(word: str, words: Iterable[str],
         otherwise: str = 'correct its spelling, or remove it') -> str:
    """The end of a sentence about an unknown name."""
    words = sorted(map(str, words))
    guess = nearest(word, words)
    if guess:
        return f'did you mean {guess}?'
    if 0 < len(words) <= 40:
        return f'allowed are: {", ".join(words)}'
    return otherwise
