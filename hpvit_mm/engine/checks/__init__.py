"""Checks before a run.

The parts of the config are built without memory or data, see ``build`` and
``parts``; then the rules of ``model``, ``checkpoint`` and ``datasets`` compare
them with one another. Each problem is a :class:`UserError`, whose sentence
names the key and the remedy.
"""
import importlib
from typing import Optional, Tuple

from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from torch import nn

from hpvit_mm.cli import local_rank
from hpvit_mm.errors import UserError

from .checkpoint import check_checkpoint
from .datasets import (build_lazily, check_agreement, check_dataset,
                       head_classes, leaves)
from .model import (check_batches, check_pretrained, check_test_cfg,
                    check_topk, check_training, check_widths)
from .parts import (build_hooks, build_loop, build_metrics, build_optimizer,
                    build_schedulers, build_skeleton, check_strategy_keys)
from .values import (check_lengths, check_log_level, check_sampler,
                     check_seed)
from .work_dir import check_work_dir

TRAINING = ('train_cfg', 'optim_wrapper', 'train_dataloader')
VALIDATION = ('val_cfg', 'val_dataloader', 'val_evaluator')
TESTING = ('test_cfg', 'test_dataloader', 'test_evaluator')

Skeleton = Optional[Tuple[nn.Module, Optional[OptimWrapper]]]


def check_run(cfg: Config, training: bool) -> Skeleton:
    """Check all that a run needs, the cheapest first.

    One process of each machine checks; where it stops, its launcher stops the
    others.

    Returns:
        The model without values and its optimizer, to check more; None in
        the other processes.
    """
    if local_rank() > 0:
        return None
    check_entries(cfg, ('model', *(TRAINING if training else TESTING)))
    if training:
        given = [name for name in VALIDATION if cfg.get(name) is not None]
        check_entries(cfg, VALIDATION if given else ())
    check_work_dir(cfg.work_dir)
    check_seed(cfg)
    check_log_level(cfg)
    if training:
        check_lengths(cfg)
        check_sampler(cfg)
    check_host(cfg)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        return check_parts(cfg, training)


def check_parts(cfg: Config, training: bool) -> Skeleton:
    """Build all parts, and compare them with one another and the data."""
    build_hooks(cfg)
    check_strategy_keys(cfg)
    model = build_skeleton(cfg)
    heads = head_classes(model)
    optimizer = None
    if training:
        optimizer = build_optimizer(cfg, model)
        build_schedulers(cfg, optimizer)
    if training or not cfg.get('load_from'):
        check_pretrained(cfg, model)
    check_widths(model)
    for kind in ('train', 'val') if training else ('test', ):
        loader, evaluator = f'{kind}_dataloader', f'{kind}_evaluator'
        if not cfg.get(loader) or cfg.get(f'{kind}_cfg') is None:
            continue
        build_loop(cfg, kind)
        check_dataset(cfg, loader, heads, model)
        if kind == 'train':
            check_training(cfg, model)
            continue
        for path, metric in build_metrics(cfg, evaluator):
            check_topk(metric, path, heads)
        check_test_cfg(cfg, model)
        check_batches(cfg, loader, model)
    bank = None if training else cfg.test_cfg.get('bank')  # of k-NN
    if bank:
        check_dataset({'test_cfg.bank': bank}, 'test_cfg.bank', heads)
        for path, entry in leaves(cfg.test_dataloader.dataset,
                                  'test_dataloader.dataset'):
            check_agreement(bank, 'test_cfg.bank', build_lazily(entry, path),
                            path)
    if cfg.get('load_from') and not cfg.get('resume'):
        check_checkpoint(model, cfg.load_from, new_heads=training)
    return model, optimizer


def check_resumed(cfg: Config, skeleton: Skeleton) -> None:
    """Check that the checkpoint fits from which training continues."""
    if skeleton and cfg.get('resume'):
        model, optimizer = skeleton
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
            check_checkpoint(model, cfg.load_from, optimizer, resume=True)


def check_entries(cfg: Config, needed: tuple) -> None:
    """Check that the config has the entries that a tool needs."""
    missing = [name for name in needed if cfg.get(name) is None]
    if missing:
        raise UserError(
            f'the config has no {", ".join(missing)}, which this run needs; '
            'add it, or inherit it from a file in configs/_base_')


def check_host(cfg: Config) -> None:
    """Check that the library of ``default_scope`` is installed."""
    scope = cfg.get('default_scope') or 'mmengine'
    try:
        importlib.import_module(scope)
    except ModuleNotFoundError as error:
        if error.name != scope:
            raise
        raise UserError(
            f'default_scope of the config is {scope}, which is not '
            'installed; install it, or correct default_scope (mmpretrain, '
            'mmdet or mmseg)') from error
