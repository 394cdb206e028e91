"""What every training has so that it survives, whatever its config lists."""
from mmengine.config import Config, ConfigDict

from hpvit_mm.errors import UserError

# mmengine's loops and hooks -> those of the same arguments that survive.
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


def ensure(cfg: Config) -> None:
    """Give a training the loops and hooks of ours that it lacks.

    The configs here name them; those that users bring may not, or replace
    the list. Types that are neither mmengine's nor ours stay.

    Raises:
        UserError: If checkpoints are not written by SafeCheckpointHook, on
            which the others rely.
    """
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    for name, kind in HOOKS.items():
        hook = hooks.get(name) or ConfigDict()
        if name == 'checkpoint' and hook.get('type') == 'CheckpointHook':
            hook.type = kind
        hook.setdefault('type', kind)
        hooks[name] = hook
    if hooks.checkpoint.type != HOOKS['checkpoint']:
        raise UserError(
            f'default_hooks.checkpoint.type is {hooks.checkpoint.type}, but '
            'a training relies on hpvit_mm.SafeCheckpointHook to be resumed: '
            'name that')
    custom = list(cfg.get('custom_hooks') or [])
    if all(other.get('type') != PLAIN for other in custom):
        cfg.custom_hooks = custom + [ConfigDict(type=PLAIN)]
    loop = cfg.get('train_cfg')
    if loop:
        if 'by_epoch' in loop:
            loop.setdefault('type', 'EpochBasedTrainLoop' if loop.pop(
                'by_epoch') else 'IterBasedTrainLoop')
            loop.pop('by_epoch', None)
        loop.type = LOOPS.get(loop.get('type'), loop.get('type'))
    name_failures(cfg)


def name_failures(cfg: Config) -> None:
    """Let validation and test name the files that they cannot read."""
    for name, kind in (('val_cfg', 'ValLoop'), ('test_cfg', 'TestLoop')):
        loop = cfg.get(name)
        if loop is not None:
            loop.type = LOOPS.get(loop.get('type', kind), loop.get('type'))
