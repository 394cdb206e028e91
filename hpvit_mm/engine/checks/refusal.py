"""What a class refuses while it is built from the config, in one sentence."""
import re
import traceback
from contextlib import contextmanager
from typing import Callable, Iterator, List, Optional

from mmengine.registry.build_functions import (build_from_cfg,
                                               build_scheduler_from_cfg)
from mmengine.runner import FlexibleRunner, Runner
from torch.utils.data import DataLoader

from hpvit_mm.errors import UserError

from .signature import accepted_arguments
from .types import find_anywhere, hint_type, typed_dicts, unknown_key

LIBRARIES = ('hpvit_mm', 'mmcv', 'mmdet', 'mmengine', 'mmpretrain', 'mmseg',
             'torch')
# What builds in registries -> its variable of the class that it builds.
BUILDING = {build_from_cfg.__code__: 'obj_cls',
            build_scheduler_from_cfg.__code__: 'scheduler_cls'}
# Built from the config by no registry.
UNREGISTERED = {cls.__init__.__code__: cls
                for cls in (DataLoader, FlexibleRunner, Runner)}
# What a class says of its values, or of a file that they name.
REFUSING = (AssertionError, AttributeError, FileNotFoundError,
            IsADirectoryError, KeyError, NameError, PermissionError,
            TypeError, ValueError)
UNEXPECTED = re.compile(
    r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")
LACKING = re.compile(
    r"(\w+)\.__init__\(\) missing \d+ required (?:positional|keyword-only) "
    r"arguments?: (.+)")
UNKNOWN = re.compile(r"(\S+) is not in the \S+?::(.+?) registry")
# mmcv's, of a norm or convolution that is not registered
NAMELESS = 'Cannot find None in registry'


@contextmanager
def refusals(entry: Optional[dict] = None, path: str = '') -> Iterator[None]:
    """Tell which class refuses its values in the config, and why.

    Of a class from outside the libraries the whole traceback is of more use:
    it may be at fault itself.

    Args:
        entry: The dict in the config from which something is built, where
            it is known.
        path: Where it stands.

    Raises:
        UserError: In place of an error of the class.
    """
    try:
        yield
    except UserError:
        raise
    except REFUSING as error:
        sentence = None
        if entry is not None:
            sentence = of_arguments(str(error), entry, path)
        if sentence is None:
            refusing = in_making(error)
            if refusing is None or \
                    refusing.__module__.split('.')[0] not in LIBRARIES:
                raise
            place = f'{path}: ' if path else ''
            sentence = (f'{place}{refusing.__name__} refuses what the config '
                        f'gives it ({innermost_text(error)}); correct it')
        raise UserError(sentence) from error


def of_arguments(text: str, entry: dict, path: str) -> Optional[str]:
    """What an error says of keys and names, not of values.

    Args:
        text: The error's.
        entry: The dict in the config from which something is built.
        path: Where it stands.

    Returns:
        The sentence, with the nearest dict's place; None of other errors.
    """
    found = UNEXPECTED.search(text)
    if found:
        name, key = found.groups()
        for inner, one in typed_dicts(entry, path):
            target = find_anywhere(one['type'])
            if key in one and target and name in mro_names(target):
                return unknown_key(inner, key, target,
                                   accepted_arguments(target)[0])
        return f'{path}: {name} has no argument {key}; remove it'
    found = LACKING.search(text)
    if found:
        return f'{path}: {found[1]} needs {found[2]}; add it'
    found = UNKNOWN.search(text)
    if found:
        name = found[1].strip('\'"')
        inner = next((inner for inner, one in typed_dicts(entry, path)
                      if one['type'] == name), path)
        return f'{inner}: there is no {name} among the {found[2]}s; ' \
            + hint_type(name)
    if NAMELESS in text:
        for inner, one in typed_dicts(entry, path):
            if find_anywhere(one['type']) is None:
                return f'{inner}: there is no {one["type"]} among the ' \
                    f'models; {hint_type(one["type"])}'
    return None


def mro_names(target: Callable) -> List[str]:
    """The names of a class and of its bases, as errors print them."""
    return [one.__name__ for one in getattr(target, '__mro__', (target, ))]


def in_making(error: BaseException) -> Optional[type]:
    """The innermost class that was being built from the config."""
    found = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code in UNREGISTERED:
            found = UNREGISTERED[frame.f_code]
        elif frame.f_code in BUILDING:
            # not bound yet, where the name is not registered
            found = frame.f_locals.get(BUILDING[frame.f_code], found)
    return found


def innermost_text(error: BaseException) -> str:
    """What was said first, before mmengine repeated it with a prefix.

    Where nothing was said: the line that failed.
    """
    text = str(error)
    while error.__context__ is not None and str(error.__context__) in text:
        error = error.__context__
    kind = '' if isinstance(error, (AssertionError, ValueError)) \
        else f'{type(error).__name__}: '
    failed = traceback.extract_tb(error.__traceback__)
    return kind + (' '.join(str(error).split())
                   or (failed and failed[-1].line) or type(error).__name__)
