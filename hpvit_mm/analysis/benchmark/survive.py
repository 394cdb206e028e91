"""What it costs that a training survives: per iteration, and per checkpoint."""
import contextlib
import io
import itertools
import statistics
import tempfile
import time
from typing import List

import torch
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import nn

from hpvit_mm.engine import DeferredRuntimeInfoHook, survival

from .networks import compute, hpvit
from .timing import Options, Variant, compare, take_turns

ITERATIONS = 1000
SAMPLES = 16  # in a batch
WEIGHTS = 86_000_000  # of ViT-B
LOOPS = {
    "mmengine's": dict(by_epoch=False),
    'ours': dict(type=survival.LOOPS['IterBasedTrainLoop']),
}
HOOKS = {
    "mmengine's": dict(checkpoint=dict(type='CheckpointHook')),
    'ours': {name: dict(type=kind) for name, kind in survival.HOOKS.items()},
}
# mmengine keeps loggers by the names of experiments, which must differ.
_numbers = itertools.count()


def run(options: Options) -> List[dict]:
    """A training of next to nothing, with a step of HPViT-B beside it; and
    one of nothing but checkpoints, of a size as that of ViT-B.

    Data are loaded in the process, so that the seeds of samples count, which
    otherwise are set by the processes that load data. Checkpoints are timed
    by the clock, which counts the waiting for the disk.
    """
    x = torch.randn(1, 3, 224, 224, device=options.device)
    model = hpvit(7).to(options.device)
    rows = compare(
        f'{ITERATIONS} iterations of {SAMPLES} samples without a network',
        [Variant(name, Training(name, ITERATIONS)) for name in LOOPS],
        options)
    step = statistics.median(take_turns(
        dict(step=lambda: compute(model, x, train=True)), options.rounds,
        options.device)['step'])
    host, ours = (statistics.median(row['milliseconds']) for row in rows)
    added = (ours - host) / ITERATIONS
    print(f'  ours adds {added:.2f} ms to an iteration: {added / step:.2%} of '
          f'the {step:.0f} ms of HPViT-B, forward and backward, 1 image')
    rows.append(dict(case='added to an iteration', variant='ours',
                     milliseconds_per_iteration=added,
                     milliseconds_of_a_step=step))
    seconds = {name: [] for name in LOOPS}
    for _ in range(options.rounds):
        for name, times in seconds.items():
            times.append(Training(name, 2, WEIGHTS, save=True).seconds())
    for name, times in seconds.items():
        print(f'  a checkpoint of {WEIGHTS / 1e6:.0f} million weights and '
              f'AdamW: {statistics.median(times):.2f} s, {name}')
        rows.append(dict(case='a checkpoint', variant=name, seconds=times))
    return rows


class Training:
    """A training whose model is a list of numbers, and whose data are numbers.

    Args:
        name: A key of ``LOOPS``.
        iterations: How many.
        weights: How many the model has.
        save: Whether to write a checkpoint after each iteration, and keep
            one.
    """

    def __init__(self, name: str, iterations: int, weights: int = 1,
                 save: bool = False) -> None:
        self.name = name
        self.iterations = iterations
        self.weights = weights
        self.saving = dict(by_epoch=False, interval=1 if save else -1,
                           max_keep_ckpts=1, save_last=save)

    def __call__(self) -> None:
        with self._runner() as runner:
            runner.train()

    def seconds(self) -> float:
        """What an iteration takes, without preparing for the training."""
        with self._runner() as runner:
            start = time.perf_counter()
            runner.train()
            return (time.perf_counter() - start) / self.iterations

    @contextlib.contextmanager
    def _runner(self):
        loader = dict(batch_size=SAMPLES, num_workers=0,
                      collate_fn=dict(type='default_collate'),
                      sampler=dict(type='InfiniteSampler'))
        optimizer = dict(optimizer=dict(type='AdamW', lr=0.))
        hooks = HOOKS[self.name]
        with tempfile.TemporaryDirectory() as folder, \
                contextlib.redirect_stdout(io.StringIO()), \
                DefaultScope.overwrite_default_scope('mmengine'):
            yield Runner(
                Numbers(self.weights), folder,
                cfg=dict(train_dataloader=loader, optim_wrapper=optimizer),
                train_dataloader=dict(loader, dataset=Counting()),
                optim_wrapper=optimizer,
                train_cfg=dict(LOOPS[self.name], max_iters=self.iterations),
                default_hooks=dict(
                    hooks, checkpoint=dict(hooks['checkpoint'], **self.saving),
                    runtime_info=dict(type=DeferredRuntimeInfoHook),
                    logger=dict(type='LoggerHook', interval=50)),
                log_level='ERROR', randomness=dict(seed=0),
                experiment_name=f'{self.name} {next(_numbers)}')


class Numbers(BaseModel):
    """A model of so many weights, which does nothing."""

    def __init__(self, weights: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(weights))

    def forward(self, inputs: torch.Tensor, mode: str) -> dict:
        """(B, ) -> the loss"""
        return dict(loss=(self.weights[0] * inputs).sum())


class Counting(BaseDataset):
    """The numbers below 1,000."""

    def load_data_list(self) -> List[dict]:
        """As mmengine asks for it."""
        return [dict(inputs=float(i)) for i in range(1000)]

    def prepare_data(self, index: int) -> dict:
        """A sample."""
        return dict(inputs=float(index))
