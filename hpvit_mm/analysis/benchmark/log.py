"""What hooks do in an iteration, early and late in a training."""
from types import SimpleNamespace
from typing import List

import torch
from mmengine.hooks import IterTimerHook, LoggerHook, RuntimeInfoHook
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.optim import OptimWrapper
from mmengine.runner import LogProcessor
from torch.utils.data import DataLoader

from hpvit_mm.engine import DeferredRuntimeInfoHook
from hpvit_mm.errors import UserError

from .timing import Options, Variant, compare

INTERVAL = 50  # iterations from one logged line to the next
LOSSES = 8  # with the rates and times, 12 values
KINDS = {"mmengine's": RuntimeInfoHook, 'ours': DeferredRuntimeInfoHook}


def run(options: Options) -> List[dict]:
    """Times at two iterations; that of ours should be the same."""
    check_logs(options)
    rows = []
    for past in (1_000, 160_000):
        trainings = {name: Training(kind, past, options.device)
                     for name, kind in KINDS.items()}
        rows += compare(
            f'hooks, 12 values, {INTERVAL} iterations from {past:,} on',
            [Variant(name, one.log_once) for name, one in trainings.items()],
            options)
    return rows


class Training:
    """The hooks of a training that is at some iteration, without a model.

    Args:
        runtime_info: The hook that takes the losses.
        past: How many iterations are behind it.
        device: Where the losses are.
    """

    def __init__(self, runtime_info: type, past: int, device: str) -> None:
        hub = MessageHub('benchmark')
        for name in ('lr', 'base_lr', 'data_time', 'time',
                     *(f'loss_{i}' for i in range(LOSSES))):
            hub.log_scalars[f'train/{name}'] = HistoryBuffer(
                [0.] * past, [1] * past)
        self.logged = []
        self.losses = torch.rand(
            INTERVAL, LOSSES, generator=torch.manual_seed(0)).to(device)
        params = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
        # as much of a runner as these hooks look at
        self.runner = SimpleNamespace(
            hooks=[runtime_info(), IterTimerHook(), LoggerHook(INTERVAL)],
            experiment_name='benchmark', message_hub=hub,
            log_processor=LogProcessor(by_epoch=False),
            iter=past, epoch=0, max_iters=10**6, max_epochs=1,
            train_loop=None, _train_loop=None, model=None,
            train_dataloader=DataLoader(range(10**6)),
            optim_wrapper=OptimWrapper(torch.optim.SGD(
                [dict(params=[param]) for param in params], lr=0.1)),
            logger=SimpleNamespace(info=lambda text: None),
            visualizer=SimpleNamespace(
                add_scalars=lambda tag, **_: self.logged.append(tag)))
        self.call('before_train')
        self.call('before_train_epoch')

    def call(self, name: str, **arguments) -> None:
        """As a runner does."""
        for hook in self.runner.hooks:
            getattr(hook, name)(self.runner, **arguments)

    def log_once(self) -> None:
        """The iterations up to the next logged line."""
        for losses in self.losses:
            batch_idx = self.runner.iter
            self.call('before_train_iter', batch_idx=batch_idx)
            self.call('after_train_iter', batch_idx=batch_idx, outputs={
                f'loss_{i}': loss for i, loss in enumerate(losses)})
            self.runner.iter += 1


def check_logs(options: Options) -> None:
    """Both hooks must log the same."""
    host, ours = (Training(kind, 1_000, options.device)
                  for kind in KINDS.values())
    for one in (host, ours):
        one.log_once()
        one.log_once()
        for tag in one.logged:
            del tag['time'], tag['data_time']
    if not host.logged == ours.logged or len(ours.logged) != 2:
        raise UserError(f'{ours.logged} is logged and not {host.logged}: '
                        'the times cannot be compared')
