"""What a class refuses while a run is set up, in one sentence."""
import traceback
from contextlib import contextmanager
from typing import Iterator, Optional

from mmengine.registry.build_functions import (build_from_cfg,
                                               build_scheduler_from_cfg)
from mmengine.runner import FlexibleRunner, Runner
from torch.utils.data import DataLoader

from hpvit_mm.errors import UserError

LIBRARIES = ('hpvit_mm', 'mmcv', 'mmdet', 'mmengine', 'mmpretrain', 'mmseg',
             'torch')
# What builds in registries -> its variable of the class that it builds.
BUILDING = {build_from_cfg.__code__: 'obj_cls',
            build_scheduler_from_cfg.__code__: 'scheduler_cls'}
# Built from the config by no registry.
UNREGISTERED = {cls.__init__.__code__: cls
                for cls in (DataLoader, FlexibleRunner, Runner)}


@contextmanager
def refusals() -> Iterator[None]:
    """Tell which class refuses its values in the config, and why.

    Of a class from outside the libraries the whole traceback is of more use:
    it may be at fault itself.

    Raises:
        UserError: In place of an error of the class.
    """
    try:
        yield
    except UserError:
        raise
    except (AssertionError, AttributeError, KeyError, NameError, TypeError,
            ValueError) as error:
        refusing = in_making(error)
        if refusing is None or \
                refusing.__module__.split('.')[0] not in LIBRARIES:
            raise
        raise UserError(f'{refusing.__name__} refuses what the config gives '
                        f'it ({innermost_text(error)}); correct it') from error


def in_making(error: BaseException) -> Optional[type]:
    """The innermost class that was being built from the config."""
    found = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        found = UNREGISTERED.get(frame.f_code) or frame.f_locals.get(
            BUILDING.get(frame.f_code)) or found
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
