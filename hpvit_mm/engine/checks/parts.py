"""Build every part of a run except its data, before the run starts."""
import contextlib
import copy
import importlib.util
import inspect
import tempfile
import uuid
from functools import partial
from types import SimpleNamespace
from typing import Any, Callable, Iterator, List, Optional, Tuple

import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import CheckpointHook
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmengine.registry import (HOOKS, LOG_PROCESSORS, LOOPS, METRICS, MODELS,
                               PARAM_SCHEDULERS, VISUALIZERS)
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, Dataset

from hpvit_mm.errors import UserError
from hpvit_mm.utils import type_name

from ..data.dataset import resumable
from ..survival import LOOPS as OWN_LOOPS
from .build import (argument_names, build, classes_of, hint, known_types,
                    quiet)
from .values import check_whole

# Backends of mmengine's visualizer -> any of the modules that they import
# when they write for the first time.
BACKENDS = dict(
    AimVisBackend=('aim', ), ClearMLVisBackend=('clearml', ),
    DVCLiveVisBackend=('dvclive', ), MLflowVisBackend=('mlflow', ),
    NeptuneVisBackend=('neptune', ),
    TensorboardVisBackend=('tensorboard', 'tensorboardX'),
    WandbVisBackend=('wandb', ))


def build_skeleton(cfg: Config) -> Optional[nn.Module]:
    """Build the model on the meta device, without memory for its weights.

    Returns:
        The model, or None if only the run itself can build it.

    Raises:
        UserError: If a class of the model refuses its arguments.
    """
    entry = copy.deepcopy(cfg.model)
    if cfg.get('data_preprocessor') is not None:
        entry.setdefault('data_preprocessor', cfg.data_preprocessor)

    def on(device: str, entry: dict) -> nn.Module:
        with torch.device(device):
            return MODELS.build(entry).to('meta')

    try:
        with quiet():
            return on('meta', copy.deepcopy(entry))
    except Exception:  # some constructors compute with values
        return build(partial(on, 'cpu'), entry, 'model')


def build_optimizer(cfg: Config, model: nn.Module
                    ) -> Optional[OptimWrapper]:
    """Build the optimizer over a model without values.

    Returns:
        The optimizer, or None if only the run itself can build it.

    Raises:
        UserError: If an argument is refused.
    """
    try:
        return build(partial(build_optim_wrapper, model), cfg.optim_wrapper,
                     'optim_wrapper')
    except UserError:
        raise
    except Exception:  # ZeroRedundancyOptimizer needs the other processes
        return None


def build_schedulers(cfg: Config, optimizer: Optional[OptimWrapper]) -> None:
    """Build the schedulers of the optimizer."""
    if optimizer is None or isinstance(optimizer, OptimWrapperDict):
        return  # the schedulers of several optimizers have their names
    length = cfg.train_cfg.get('max_epochs', cfg.train_cfg.get('max_iters'))
    for path, entry in entries(cfg, 'param_scheduler'):
        entry.setdefault('end', length)
        build(partial(PARAM_SCHEDULERS.build, default_args=dict(
            optimizer=optimizer, epoch_length=1000)), entry, path)


def build_hooks(cfg: Config) -> None:
    """Build the visualizer, the log processor and the hooks."""
    for path, entry in entries(cfg, 'visualizer'):
        for where, backend in entries(cfg, 'visualizer.vis_backends'):
            check_backend(where, backend)
        # The runner's visualizer, named by the config, comes later.
        build(lambda entry: VISUALIZERS.build(dict(
            entry, name=str(uuid.uuid4()), save_dir=cfg.work_dir)),
            entry, path)
    for path, entry in entries(cfg, 'log_processor'):
        build(partial(LOG_PROCESSORS.build,
                      default_args=dict(type='LogProcessor')), entry, path)
    for path, entry in (*entries(cfg, 'default_hooks'),
                        *entries(cfg, 'custom_hooks')):
        entry.pop('priority', None)
        if entry.get('interval') is not None:
            check_whole(entry['interval'], -1, f'{path}.interval')
        hook = build(HOOKS.build, entry, path)
        if isinstance(hook, CheckpointHook):
            check_saving(hook, path)


def check_saving(hook: CheckpointHook, path: str) -> None:
    """Check the arguments that a CheckpointHook passes on to the runner."""
    names = set(inspect.signature(Runner.save_checkpoint).parameters)
    known = names | set(inspect.signature(CheckpointHook).parameters)
    for key in set(hook.args) - names:
        raise UserError(f'{path}: {type(hook).__name__} has no argument '
                        f'{key}; ' + hint(key, known))


def check_backend(path: str, entry: dict) -> None:
    """Check that the package of a visualization backend is installed."""
    name = type_name(entry)
    packages = BACKENDS.get(name, ())
    if packages and not any(map(importlib.util.find_spec, packages)):
        raise UserError(f'{path}: {name} needs {packages[0]}, which is not '
                        'installed; install it, or remove the backend')


def build_metrics(cfg: Config, name: str) -> List[Tuple[str, BaseMetric]]:
    """Build the metrics of an evaluator."""
    place = f'{name}.metrics' if 'metrics' in cfg[name] else name
    metrics = []
    for path, entry in entries(cfg, place):
        out = entry.pop('output_dir', None)  # IoUMetric creates it
        if entry.get('type') == 'IoUMetric':
            if entry.get('format_only') and not out:
                raise UserError(
                    f'{path}.output_dir is missing, which format_only needs; '
                    'set it to a folder for the label maps')
        elif out:  # CityscapesMetric needs one, and deletes it
            entry['output_dir'] = tempfile.mkdtemp()
        metrics.append((path, build(METRICS.build, entry, path)))
    return metrics


class Samples(Dataset):
    """Stand-in for a data set, for what needs to know its length only."""
    metainfo: dict = {}

    def __len__(self) -> int:
        return 10**6


def build_loop(cfg: Config, name: str) -> None:
    """Build a loop and its data loader.

    Args:
        cfg: The config, inside of its default scope.
        name: 'train', 'val' or 'test'.
    """
    entry = dict(cfg[f'{name}_dataloader'], dataset=Samples())
    for key, least in dict(batch_size=1, num_workers=0).items():
        check_whole(entry.get(key, least), least, f'{name}_dataloader.{key}')

    def load(entry: dict) -> DataLoader:
        if name == 'train':
            entry = resumable(entry, 0, False)
        return Runner.build_dataloader(entry, seed=0)

    try:
        loader = build(load, entry, f'{name}_dataloader')
    except Exception:
        with quiet(), contextlib.suppress(Exception):
            load(dict(entry, sampler=dict(type='DefaultSampler'),
                      batch_sampler=None))
            return  # a sampler that looks at the samples
        raise
    loop = copy.deepcopy(cfg[f'{name}_cfg'])
    if loop.get('type') not in OWN_LOOPS.values() \
            and loop.get('type') != 'hpvit_mm.KNNTestLoop':
        check_known(loop.get('type'), 'loop', f'{name}_cfg')
        return
    if loop.get('bank'):
        loop.bank = dict(loop.bank, dataset=Samples())
    runner = SimpleNamespace(
        seed=0, rank=0, visualizer=SimpleNamespace(),
        build_dataloader=Runner.build_dataloader)
    arguments = dict(runner=runner, dataloader=loader)
    if name != 'train':
        arguments['evaluator'] = Evaluator([])
    build(partial(LOOPS.build, default_args=arguments), loop, f'{name}_cfg')


def check_known(name: Any, kind: str, path: str) -> Callable:
    """Return the class of a type, which must be registered."""
    target = next((target for _, target in classes_of(name)), None)
    if target is None:
        raise UserError(f'{path}: there is no {name} among the types of '
                        f'{kind}; ' + hint(name, known_types(kind)))
    return target


def check_strategy_keys(cfg: Config) -> None:
    """Check the type and the keys of the strategy.

    Only a run, with its processes, can build it.
    """
    entry = cfg.get('strategy')
    if not entry:
        return
    target = check_known(entry.get('type'), 'strategy', 'strategy')
    names = argument_names(target)
    for key in entry.keys() - names - {'type'}:
        raise UserError(f'strategy.{key}: {target.__name__} has no argument '
                        f'{key}; ' + hint(key, names))


def entries(cfg: Config, place: str) -> Iterator[Tuple[str, dict]]:
    """Copies of the dicts at a place: one, a list of them, or named ones."""
    node: Any = cfg
    for key in place.split('.'):
        node = node.get(key) if isinstance(node, (dict, Config)) else None
    if isinstance(node, dict) and ('type' in node
                                   or place == 'log_processor'):
        yield place, copy.deepcopy(node)
    elif isinstance(node, (dict, list, tuple)):
        named = node.items() if isinstance(node, dict) else enumerate(node)
        for key, entry in named:
            if isinstance(entry, dict):
                yield f'{place}.{key}', copy.deepcopy(entry)
