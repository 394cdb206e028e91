"""What it costs per iteration that a training survives."""
import contextlib
import io
import statistics
import tempfile
from typing import List

import torch
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import nn

from hpvit_mm.engine import DeferredRuntimeInfoHook

from .networks import compute, hpvit
from .timing import Options, Variant, compare, take_turns

ITERATIONS = 200
SAMPLES = 16  # in a batch
LOOPS = {
    "mmengine's": dict(by_epoch=False),
    'ours': dict(type='hpvit_mm.ResumableIterLoop'),
}
HOOKS = {
    "mmengine's": dict(checkpoint=dict(type='CheckpointHook')),
    'ours': dict(
        checkpoint=dict(type='hpvit_mm.SafeCheckpointHook'),
        finite=dict(type='hpvit_mm.FiniteHook'),
        preemption=dict(type='hpvit_mm.PreemptionHook'),
        watchdog=dict(type='hpvit_mm.WatchdogHook'),
        record=dict(type='hpvit_mm.RunRecordHook')),
}


def run(options: Options) -> List[dict]:
    """A training of next to nothing, and a step of HPViT-B beside it.

    Data are loaded in the process, so that the seeds of samples count, which
    otherwise are set by the processes that load data.
    """
    x = torch.randn(1, 3, 224, 224, device=options.device)
    model = hpvit(7).to(options.device)
    rows = compare(
        f'{ITERATIONS} iterations of {SAMPLES} samples without a network',
        [Variant(name, Training(name)) for name in LOOPS], options)
    step = statistics.median(take_turns(
        dict(step=lambda: compute(model, x, train=True)), options.rounds,
        options.device)['step'])
    host, ours = (statistics.median(row['milliseconds']) for row in rows)
    added = (ours - host) / ITERATIONS
    print(f'  ours adds {added:.2f} ms to an iteration: {added / step:.2%} of '
          f'the {step:.0f} ms of HPViT-B, forward and backward, 1 image')
    return rows + [dict(case='added to an iteration', variant='ours',
                        milliseconds_per_iteration=added,
                        milliseconds_of_a_step=step)]


class Training:
    """A training whose model is a number, and whose data are numbers.

    Args:
        name: A key of ``LOOPS``.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self) -> None:
        with tempfile.TemporaryDirectory() as folder, \
                contextlib.redirect_stdout(io.StringIO()), \
                DefaultScope.overwrite_default_scope('mmengine'):
            loader = dict(
                batch_size=SAMPLES, num_workers=0,
                collate_fn=dict(type='default_collate'),
                sampler=dict(type='InfiniteSampler'))
            optimizer = dict(optimizer=dict(type='SGD', lr=0.))
            runner = Runner(
                Number(), folder,
                cfg=dict(train_dataloader=loader, optim_wrapper=optimizer),
                train_dataloader=dict(loader, dataset=Numbers()),
                optim_wrapper=optimizer,
                train_cfg=dict(LOOPS[self.name], max_iters=ITERATIONS),
                default_hooks=dict(
                    HOOKS[self.name],
                    runtime_info=dict(type=DeferredRuntimeInfoHook),
                    logger=dict(type='LoggerHook', interval=50)),
                log_level='ERROR', randomness=dict(seed=0),
                experiment_name=self.name)
            runner.train()


class Number(BaseModel):
    """A model of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, inputs: torch.Tensor, mode: str) -> dict:
        """(B, ) -> the loss"""
        return dict(loss=(self.weight * inputs).sum())


class Numbers(BaseDataset):
    """1,000 numbers."""

    def load_data_list(self) -> List[dict]:
        """As mmengine asks for it."""
        return [dict(inputs=float(i)) for i in range(1000)]

    def prepare_data(self, index: int) -> dict:
        """A sample."""
        return dict(inputs=float(index))
