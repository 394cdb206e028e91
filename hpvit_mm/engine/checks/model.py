"""Builds the model of a config without memory for its weights."""
import contextlib
import copy
import io
import os
import re
import warnings
from typing import Any, Callable, Iterator, List, Optional, Tuple

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, Registry
from torch import nn

from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

from .signature import accepted_arguments
from .types import find_anywhere, hint_type, unknown_key
from .values import check_texts

UNEXPECTED = re.compile(
    r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")
LACKING = re.compile(
    r"(\w+)\.__init__\(\) missing \d+ required (?:positional|keyword-only) "
    r"arguments?: (.+)")
UNREGISTERED = re.compile(r"(\S+) is not in the \S+?::(.+?) registry")

# Initialisations that read a checkpoint.
PRETRAINED = ('Pretrained', 'hpvit_mm.PretrainedHead')


def build_skeleton(cfg: Config) -> Optional[nn.Module]:
    """The model with parameters that have shapes but no values.

    It takes a fraction of a second for the largest models, and brings to
    light what is wrong with the model's config before anything else is done.

    Returns:
        The model, or None where only the run itself can build it.
    """
    model = copy.deepcopy(cfg.model)
    if cfg.get('data_preprocessor') is not None:
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    check_classes(model, 'model', MODELS)
    # some constructors compute with values, and so fail on the meta device
    for device in ('meta', 'cpu'):
        try:
            with translated(model, 'model'), unheard(), torch.device(device):
                # a copy, because constructors may change what they are given
                return MODELS.build(copy.deepcopy(model)).to('meta')
        except UserError:
            raise
        except Exception:  # the run will say what it is
            continue
    return None


def check_classes(entry: dict, path: str, registry: Registry) -> None:
    """Check, before anything is built, paths to classes, and values.

    Args:
        entry: The dict in the config from which something is built.
        path: Where it stands.
        registry: The one that builds it, for the sentence.
    """
    for inner, one in typed_dicts(entry, path):
        name = one['type']
        scope = name.rpartition('.')[0] if isinstance(name, str) else ''
        target = find_anywhere(name)
        if scope and scope not in registry.children and target is None:
            raise UserError(f'{inner}: there is no {name} among the '
                            f'{registry.name}s; {hint_type(name)}')
        if target is not None:
            check_texts(one, target, inner)


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Say nothing: what is built for a check is built again and says it."""
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


@contextlib.contextmanager
def translated(entry: dict, path: str) -> Iterator[None]:
    """Turn what a constructor says of its arguments into a UserError.

    Args:
        entry: The dict in the config from which something is built.
        path: Where it stands.
    """
    try:
        yield
    except (TypeError, KeyError) as error:
        sentence = _sentence(str(error), entry, path)
        if sentence is None:
            raise
        raise UserError(sentence) from error


def _sentence(text: str, entry: dict, path: str) -> Optional[str]:
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
    found = UNREGISTERED.search(text)
    if found:
        name = found[1].strip('\'"')
        inner = next((inner for inner, one in typed_dicts(entry, path)
                      if one['type'] == name), path)
        return f'{inner}: there is no {name} among the {found[2]}s; ' \
            + hint_type(name)
    return None


def mro_names(target: Callable) -> List[str]:
    """The names of a class and of its bases, as errors print them."""
    return [one.__name__ for one in getattr(target, '__mro__', (target, ))]


def check_pretrained(cfg: Config, model: Optional[nn.Module]) -> None:
    """Pre-trained weights must exist, and fit the backbone.

    Those at an address are fetched, and looked at, by the run itself.
    """
    for path, entry in typed_dicts(cfg.model, 'model'):
        file = entry.get('checkpoint')
        if entry['type'] in PRETRAINED and file and '://' not in file \
                and not os.path.exists(os.path.expanduser(file)):
            raise UserError(
                f'{path}.checkpoint: the file {file} does not exist; put the '
                f'pre-trained weights there, or set {path}.checkpoint')
    for module in model.modules() if model else ():
        if isinstance(module, HPViT):
            module.check_pretrained()


def typed_dicts(node: Any, path: str) -> Iterator[Tuple[str, dict]]:
    """All dicts with a ``type``, outer ones first."""
    if isinstance(node, dict):
        if 'type' in node:
            yield path, node
        for key, value in node.items():
            yield from typed_dicts(value, f'{path}.{key}')
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from typed_dicts(value, f'{path}.{index}')
