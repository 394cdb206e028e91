"""Train and test: what tools/train.py and tools/test.py do."""
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional, Sequence

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from hpvit_mm import environment
from hpvit_mm.checkpoints.loader import register_loaders
from hpvit_mm.errors import UserError

from . import (arguments, distributed, outputs, resume, settings,
               survival)
from .batch_size import settle_batch_size
from .checks import check_resumed, check_run
from .checks.datasets import head_classes
from .failures import explained


def train(argv: Optional[Sequence[str]] = None) -> None:
    """Train the model of a config."""
    args = arguments.parse_train(argv)
    distributed.check_launcher(args.launcher)
    register_loaders()
    cfg = settings.training_config(args)
    skeleton = check_run(cfg, training=True)
    distributed.check_strategy(cfg)
    distributed.set_up(cfg)
    distributed.check_gpu(cfg)
    resume.settle_start(cfg, args.resume, args.restart)
    check_resumed(cfg, skeleton)
    settings.name_copy(cfg, Path(args.config).stem)
    runner = build_runner(cfg)
    survival.warn(cfg, runner.logger)
    settle_batch_size(runner)
    check_batches_of_epoch(runner)
    warn_of_schedule(runner)
    if skeleton:
        warn_of_random_weights(runner, skeleton[0])
    with closing_hooks(runner), explained(runner):
        runner.train()
    del runner
    distributed.leave()


def test(argv: Optional[Sequence[str]] = None) -> None:
    """Evaluate the model of a config."""
    args = arguments.parse_test(argv)
    distributed.check_launcher(args.launcher)
    register_loaders()
    cfg = settings.test_config(args)
    check_run(cfg, training=False)
    distributed.set_up(cfg)
    distributed.check_gpu(cfg)
    runner = build_runner(cfg)
    if args.untrained:
        initialise_weights(runner)
    with closing_hooks(runner):
        metrics = runner.test()
    if args.out and args.out.endswith('.json') and runner.rank == 0:
        outputs.write_metrics(metrics, args.out)
    del runner
    distributed.leave()


def build_runner(cfg: Config) -> Runner:
    """Build the runner that a config asks for."""
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg \
        else Runner.from_cfg(cfg)
    environment.quiet(runner.logger)
    return runner


def check_batches_of_epoch(runner: Runner) -> None:
    """Check that an epoch has a batch."""
    loop = runner.train_loop
    if isinstance(loop, EpochBasedTrainLoop) and not len(loop.dataloader):
        raise UserError(
            'train_dataloader has no batch: drop_last drops the only one, '
            f'which has {len(loop.dataloader.dataset)} of batch_size='
            f'{runner.cfg.train_dataloader.batch_size} images for '
            f'{runner.world_size} processes; use a smaller batch_size, or '
            'drop_last=False')


def warn_of_schedule(runner: Runner) -> None:
    """Warn of schedulers that go on behind the end of the training."""
    loop = runner.train_loop
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    entries = runner.cfg.get('param_scheduler') or []
    for index, entry in enumerate(
            entries if isinstance(entries, list) else [entries]):
        epochs = entry.get('by_epoch', True)
        length = loop.max_epochs if epochs else loop.max_iters
        if (by_epoch or not epochs) and (entry.get('end') or 0) > length:
            runner.logger.warning(
                f'param_scheduler[{index}] ({entry.type}) goes on to '
                f'{"epoch" if epochs else "iteration"} {entry.end}, but the '
                f'training ends at {length}: set param_scheduler.{index}.end '
                '(and the milestones)')


def warn_of_random_weights(runner: Runner, model: nn.Module) -> None:
    """Warn of a backbone with a task and without weights."""
    cfg = runner.cfg
    backbone = cfg.model.get('backbone') or {}
    if head_classes(model) and not (
            backbone.get('init_cfg') or cfg.model.get('init_cfg')
            or cfg.get('load_from') or cfg.get('resume')):
        runner.logger.warning(
            'the backbone starts from random weights: '
            'model.backbone.init_cfg is None')


@contextmanager
def closing_hooks(runner: Runner) -> Iterator[None]:
    """Close the hooks, however a run ends: threads and signal handlers."""
    try:
        yield
    finally:
        for hook in runner.hooks:
            if hasattr(hook, 'close'):
                hook.close()


def initialise_weights(runner: Runner) -> None:
    """Initialise the model as before a training."""
    runner._init_model_weights()
