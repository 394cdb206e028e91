"""Add the hooks and loops by which every run survives to a config."""
import logging
from typing import Optional

from mmengine.config import Config, ConfigDict

from hpvit_mm.errors import UserError

from .hooks.checkpoint import SafeCheckpointHook
from .loops.train import ResumableEpochLoop, ResumableIterLoop

# loops of mmengine -> ours, with the same arguments
LOOPS = dict(
    EpochBasedTrainLoop='hpvit_mm.ResumableEpochLoop',
    IterBasedTrainLoop='hpvit_mm.ResumableIterLoop',
    ValLoop='hpvit_mm.GuardedValLoop',
    TestLoop='hpvit_mm.GuardedTestLoop')
HOOKS = dict(
    checkpoint='hpvit_mm.SafeCheckpointHook',
    finite='hpvit_mm.FiniteHook',
    preemption='hpvit_mm.PreemptionHook',
    watchdog='hpvit_mm.WatchdogHook',
    record='hpvit_mm.RunRecordHook')
PLAIN = 'hpvit_mm.PlainCheckpointHook'
TRAIN_LOOPS = (ResumableEpochLoop, ResumableIterLoop)


def ensure(cfg: Config) -> None:
    """Add our loops and hooks to the config of a training.

    Loops and hooks that are neither mmengine's nor ours stay.

    Raises:
        UserError: If default_hooks.checkpoint is another hook.
    """
    add_hooks(cfg, *HOOKS)
    kind = cfg.default_hooks.checkpoint.type
    if kind not in (HOOKS['checkpoint'], SafeCheckpointHook):
        raise UserError(
            f'default_hooks.checkpoint.type is {kind}, but resuming needs '
            'hpvit_mm.SafeCheckpointHook: name that')
    custom = list(cfg.get('custom_hooks') or [])
    if all(other.get('type') != PLAIN for other in custom):
        cfg.custom_hooks = custom + [ConfigDict(type=PLAIN)]
    loop = cfg.get('train_cfg')
    if loop:
        if 'by_epoch' in loop:
            loop.setdefault('type', 'EpochBasedTrainLoop' if loop.pop(
                'by_epoch') else 'IterBasedTrainLoop')
            loop.pop('by_epoch', None)
        replace_loop(loop)
    ensure_evaluation(cfg)


def ensure_tested(cfg: Config) -> None:
    """Add our loop and the watchdog to the config of a test."""
    add_hooks(cfg, 'watchdog')
    ensure_evaluation(cfg)


def ensure_evaluation(cfg: Config) -> None:
    """Use our loops for validation and test."""
    for name, kind in (('val_cfg', 'ValLoop'), ('test_cfg', 'TestLoop')):
        loop = cfg.get(name)
        if loop is not None:
            loop.setdefault('type', kind)
            replace_loop(loop)


def add_hooks(cfg: Config, *names: str) -> None:
    """Use our hooks where a config names none, or mmengine's."""
    hooks = cfg.get('default_hooks') or ConfigDict()
    for name in names:
        hook = hooks.get(name) or ConfigDict()
        if 'type' not in hook or (name == 'checkpoint' and
                                  mmengine_name(hook) == 'CheckpointHook'):
            hook.type = HOOKS[name]
        hooks[name] = hook
    cfg.default_hooks = hooks


def replace_loop(loop: ConfigDict) -> None:
    """Replace a loop of mmengine by ours."""
    kind = LOOPS.get(mmengine_name(loop))
    if kind:
        loop.type = kind


def mmengine_name(node: dict) -> Optional[str]:
    """The name of a type of mmengine, which may be a class; else None."""
    kind = node.get('type')
    if isinstance(kind, type):
        return kind.__name__ if kind.__module__.startswith('mmengine.') \
            else None
    return kind.removeprefix('mmengine.') if isinstance(kind, str) else None


def warn(cfg: Config, logger: logging.Logger) -> None:
    """Warn of a training loop that cannot resume exactly."""
    kind = (cfg.get('train_cfg') or {}).get('type')
    if kind not in (*LOOPS.values(), *TRAIN_LOOPS):
        logger.warning(
            f'{kind} (train_cfg.type) cannot resume exactly: it restarts from '
            'the last epoch or iteration checkpoint. '
            'hpvit_mm.ResumableEpochLoop and hpvit_mm.ResumableIterLoop can')
