"""What is looked at before a run starts.

One function per check. Each raises a :class:`UserError`, whose sentence
names the thing and the remedy.
"""
from mmengine.config import Config
from mmengine.registry import DefaultScope

from hpvit_mm.cli import local_rank
from hpvit_mm.errors import UserError

from .checkpoint import check_checkpoint
from .datasets import check_dataset, head_classes
from .model import build_skeleton, check_pretrained
from .optimizer import build_optimizer
from .types import check_host, check_types
from .work_dir import check_work_dir

COMMON = ('default_hooks', 'custom_hooks', 'visualizer', 'log_processor',
          'param_scheduler', 'strategy')
TRAINING = ('train_cfg', 'optim_wrapper', 'train_dataloader')
VALIDATION = ('val_cfg', 'val_dataloader', 'val_evaluator')
TESTING = ('test_cfg', 'test_dataloader', 'test_evaluator')


def check_run(cfg: Config, training: bool) -> None:
    """Check all that a run needs, the cheapest first.

    One process of a machine checks; where it stops, its launcher stops the
    others.
    """
    if local_rank() > 0:
        return
    used = COMMON + (TRAINING + VALIDATION if training else TESTING)
    check_entries(cfg, ('model', ) + (TRAINING if training else TESTING))
    check_work_dir(cfg.work_dir)
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
                check_dataset(cfg, loader, heads)
        bank = None if training else cfg.test_cfg.get('bank')  # of k-NN
        if bank:
            check_dataset({'test_cfg.bank': bank}, 'test_cfg.bank', heads)
        if model and cfg.get('load_from'):
            resume = cfg.get('resume', False)
            check_checkpoint(model, cfg.load_from, optimizer, resume,
                             new_heads=training and not resume)


def check_entries(cfg: Config, needed: tuple) -> None:
    """A config may be complete for one tool and not for the other."""
    missing = [name for name in needed if cfg.get(name) is None]
    if missing:
        raise UserError(
            f'the config has no {", ".join(missing)}, which this run needs; '
            'add it, or inherit it from a file in configs/_base_')
