"""What is looked at before a run starts.

One function per check. Each raises a :class:`UserError`, whose sentence
names the thing and the remedy.
"""
from typing import Optional, Tuple

from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from torch import nn

from hpvit_mm.cli import local_rank
from hpvit_mm.errors import UserError

from .checkpoint import check_checkpoint
from .datasets import check_dataset, head_classes
from .model import build_skeleton, check_pretrained
from .optimizer import build_optimizer
from .types import check_host, check_types
from .values import check_lengths, check_loader, check_seed
from .work_dir import check_work_dir

COMMON = ('default_hooks', 'custom_hooks', 'visualizer', 'log_processor',
          'param_scheduler', 'strategy')
TRAINING = ('train_cfg', 'optim_wrapper', 'train_dataloader')
VALIDATION = ('val_cfg', 'val_dataloader', 'val_evaluator')
TESTING = ('test_cfg', 'test_dataloader', 'test_evaluator')


Skeleton = Optional[Tuple[nn.Module, Optional[OptimWrapper]]]


def check_run(cfg: Config, training: bool) -> Skeleton:
    """Check all that a run needs, the cheapest first.

    One process of a machine checks; where it stops, its launcher stops the
    others.

    Returns:
        The model without values and its optimizer, to check more; None in
        the other processes, or where they cannot be built in this way.
    """
    if local_rank() > 0:
        return None
    used = COMMON + (TRAINING + VALIDATION if training else TESTING)
    check_entries(cfg, ('model', ) + (TRAINING if training else TESTING))
    check_work_dir(cfg.work_dir)
    check_seed(cfg)
    if training:
        check_lengths(cfg)
    check_host(cfg)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        check_types(cfg, used)
        model = build_skeleton(cfg)
        heads = head_classes(model) if model else []
        optimizer = build_optimizer(cfg, model) if model and training else None
        if training or not cfg.get('load_from'):
            check_pretrained(cfg, model)
        for loader in used:
            if loader.endswith('_dataloader') and cfg.get(loader):
                check_loader(cfg, loader)
                check_dataset(cfg, loader, heads)
        bank = None if training else cfg.test_cfg.get('bank')  # of k-NN
        if bank:
            check_dataset({'test_cfg.bank': bank}, 'test_cfg.bank', heads)
        if model and cfg.get('load_from') and not cfg.get('resume'):
            check_checkpoint(model, cfg.load_from, new_heads=training)
    return (model, optimizer) if model else None


def check_resumed(cfg: Config, skeleton: Skeleton) -> None:
    """Check that the checkpoint fits from which training continues."""
    if skeleton and cfg.get('resume'):
        model, optimizer = skeleton
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
            check_checkpoint(model, cfg.load_from, optimizer, resume=True)


def check_entries(cfg: Config, needed: tuple) -> None:
    """A config may be complete for one tool and not for the other."""
    missing = [name for name in needed if cfg.get(name) is None]
    if missing:
        raise UserError(
            f'the config has no {", ".join(missing)}, which this run needs; '
            'add it, or inherit it from a file in configs/_base_')
