"""Check values that the libraries do not check before they use them."""
import logging
import math
import numbers
from typing import Any

from mmengine.config import Config

from hpvit_mm.errors import UserError


def check_lengths(cfg: Config) -> None:
    """Check the length of a training and its interval of validation."""
    for key in ('max_epochs', 'max_iters', 'val_interval'):
        value = cfg.train_cfg.get(key, 1)
        if not isinstance(value, numbers.Real) or value < 1:
            raise UserError(f'train_cfg.{key} is {value!r}, but must be a '
                            'number of at least 1; correct it')


def check_sampler(cfg: Config) -> None:
    """Check that an epoch ends."""
    sampler = cfg.train_dataloader.get('sampler') or {}
    if cfg.train_cfg.get('max_epochs') \
            and sampler.get('type') == 'InfiniteSampler':
        raise UserError(
            'train_cfg counts epochs, but train_dataloader.sampler is an '
            'InfiniteSampler, whose epoch never ends; use '
            "dict(type='DefaultSampler', shuffle=True)")


def check_seed(cfg: Config) -> None:
    """Check that numpy, whose range is the smallest, takes the seed."""
    seed = (cfg.get('randomness') or {}).get('seed')
    if seed is not None:
        check_whole(seed, 0, 'randomness.seed', 2**32 - 1)


def check_log_level(cfg: Config) -> None:
    """Check that logging has a level of the name."""
    level = cfg.get('log_level', 'INFO')
    if isinstance(level, str) and not isinstance(
            logging.getLevelName(level), int):
        raise UserError(f'log_level is {level!r}, but must be DEBUG, INFO, '
                        'WARNING, ERROR or CRITICAL; correct it')


def check_whole(value: Any, least: int, path: str,
                most: float = math.inf) -> None:
    """Check that a value is a whole number in a range."""
    if not isinstance(value, int) or not least <= value <= most:
        limit = '' if most == math.inf else f' and at most {most}'
        raise UserError(f'{path} is {value!r}, but must be a whole number of '
                        f'at least {least}{limit}; correct it')
