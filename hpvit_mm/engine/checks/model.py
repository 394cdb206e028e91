"""Builds the model of a config without memory for its weights."""
import contextlib
import copy
import io
import os
import warnings
from typing import Iterator, Optional

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, Registry
from torch import nn

from hpvit_mm.errors import UserError
from hpvit_mm.models import BaseBackbone

from .refusal import refusals
from .types import find_anywhere, hint_type, typed_dicts
from .values import check_texts

# Initialisations that read a checkpoint.
PRETRAINED = ('Pretrained', 'hpvit_mm.PretrainedHead')


def build_skeleton(cfg: Config) -> Optional[nn.Module]:
    """The model with parameters that have shapes but no values.

    It takes a fraction of a second for the largest models, and brings to
    light what is wrong with the model's config before anything else is done.

    Returns:
        The model, or None where only the run itself can build it.

    Raises:
        UserError: If a class of the model refuses its values.
    """
    model = copy.deepcopy(cfg.model)
    if cfg.get('data_preprocessor') is not None:
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    check_classes(model, 'model', MODELS)
    # Some constructors compute with values, and so fail on the meta device:
    # what counts is what they say where the run will build them.
    with contextlib.suppress(Exception):
        return _build(model, 'meta')
    try:
        with refusals(model, 'model'):
            return _build(model, 'cpu').to('meta')
    except UserError:
        raise
    except Exception:  # the run will say what it is
        return None


def _build(model: dict, device: str) -> nn.Module:
    with unheard(), torch.device(device):
        # a copy, because constructors may change what they are given
        return MODELS.build(copy.deepcopy(model)).to(device)


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
        if isinstance(module, BaseBackbone):
            module.check_pretrained()
