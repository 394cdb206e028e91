"""Train and test: what tools/train.py and tools/test.py do."""
from typing import Optional, Sequence

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from . import arguments, distributed, outputs, resume, settings
from .checks import check_run


def train(argv: Optional[Sequence[str]] = None) -> None:
    """Train the model of a config."""
    args = arguments.parse_train(argv)
    distributed.check_launcher(args.launcher)
    cfg = settings.training_config(args)
    resume.resume_from(cfg, args.resume)
    check_run(cfg, training=True)
    distributed.set_up(cfg)
    build_runner(cfg).train()


def test(argv: Optional[Sequence[str]] = None) -> None:
    """Evaluate the model of a config."""
    args = arguments.parse_test(argv)
    distributed.check_launcher(args.launcher)
    cfg = settings.test_config(args)
    check_run(cfg, training=False)
    distributed.set_up(cfg)
    runner = build_runner(cfg)
    if args.untrained:
        initialise_weights(runner)
    metrics = runner.test()
    if args.out and args.out.endswith('.json') and runner.rank == 0:
        outputs.write_metrics(metrics, args.out)


def build_runner(cfg: Config) -> Runner:
    """The runner that a config asks for."""
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    return Runner.from_cfg(cfg)


def initialise_weights(runner: Runner) -> None:
    """Give the model the weights with which training would start."""
    runner._init_model_weights()
