"""What every run has so that it survives, whatever its config lists."""
from typing import Any, Iterator, Optional

from mmengine.config import Config, ConfigDict

from hpvit_mm.errors import UserError

from .hooks.checkpoint import SafeCheckpointHook
from .loops.train import ResumableEpochLoop, ResumableIterLoop

# mmengine's loops -> those of the same arguments that survive.
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
    """Give a training the loops and hooks of ours that it lacks.

    The configs here name them; those that users bring may not, or replace
    the list. Types that are neither mmengine's nor ours stay.

    Raises:
        UserError: If checkpoints are not written by SafeCheckpointHook, on
            which the others rely.
    """
    add_hooks(cfg, *HOOKS)
    kind = cfg.default_hooks.checkpoint.type
    if kind not in (HOOKS['checkpoint'], SafeCheckpointHook):
        raise UserError(
            f'default_hooks.checkpoint.type is {kind}, but a training relies '
            'on hpvit_mm.SafeCheckpointHook to be resumed: name that')
    custom = list(cfg.get('custom_hooks') or [])
    if all(other.get('type') != PLAIN for other in custom):
        cfg.custom_hooks = custom + [ConfigDict(type=PLAIN)]
    loop = cfg.get('train_cfg')
    if loop:
        if 'by_epoch' in loop:
            loop.setdefault('type', 'EpochBasedTrainLoop' if loop.pop(
                'by_epoch') else 'IterBasedTrainLoop')
            loop.pop('by_epoch', None)
        replace(loop)
    name_failures(cfg)


def ensure_tested(cfg: Config) -> None:
    """Give a test what it lacks."""
    add_hooks(cfg, 'watchdog')
    name_failures(cfg)


def add_hooks(cfg: Config, *names: str) -> None:
    """Let hooks be ours where a config names none, or mmengine's."""
    hooks = cfg.get('default_hooks') or ConfigDict()
    for name in names:
        hook = hooks.get(name) or ConfigDict()
        if 'type' not in hook or (
                name == 'checkpoint' and mmengines(hook) == 'CheckpointHook'):
            hook.type = HOOKS[name]
        hooks[name] = hook
    cfg.default_hooks = hooks


def exceptions(cfg: Config) -> Iterator[str]:
    """Why a run that is resumed would not be the one left alone."""
    kind = (cfg.get('train_cfg') or {}).get('type')
    if kind not in (*LOOPS.values(), *TRAIN_LOOPS):
        yield (f'train_cfg.type is {kind}, a loop that does not know of '
               'resuming: a run that is resumed will not be the one left '
               'alone, and begins where its checkpoint of an epoch, or '
               'iteration, is. hpvit_mm.ResumableEpochLoop and '
               'hpvit_mm.ResumableIterLoop do better')
    stateful = sorted(set(remembering(cfg.get('train_dataloader') or {})))
    if stateful:
        yield (f'{", ".join(stateful)} of train_dataloader mixes in images of '
               'earlier batches, which a resumed run does not have: it goes '
               'on with other images than the run left alone')


def name_failures(cfg: Config) -> None:
    """Let validation and test name the files that they cannot read."""
    for name, kind in (('val_cfg', 'ValLoop'), ('test_cfg', 'TestLoop')):
        loop = cfg.get(name)
        if loop is not None:
            loop.setdefault('type', kind)
            replace(loop)


def replace(loop: ConfigDict) -> None:
    """Name our loop instead of mmengine's."""
    kind = LOOPS.get(mmengines(loop))
    if kind:
        loop.type = kind


def mmengines(node: dict) -> Optional[str]:
    """The name of a type of mmengine, which may be a class; else None."""
    kind = node.get('type')
    if isinstance(kind, type):
        return kind.__name__ if kind.__module__.startswith('mmengine.') \
            else None
    return kind.removeprefix('mmengine.') if isinstance(kind, str) else None


def remembering(node: Any) -> Iterator[str]:
    """Transforms of mmdet that keep images of earlier batches."""
    if isinstance(node, dict):
        kind = node.get('type')
        name = str(getattr(kind, '__name__', kind)).rpartition('.')[2]
        if name.startswith('Cached'):
            yield name
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for one in node:
            yield from remembering(one)
