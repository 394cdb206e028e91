"""Training loops that resume bit for bit, from any iteration."""
from typing import Any, Iterator, List, Optional, Tuple, Union

import torch
from mmengine.dist import broadcast, get_world_size
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch import nn
from torch.utils.data import DataLoader

from hpvit_mm.errors import UserError
from hpvit_mm.registry import LOOPS

from .. import agreement
from ..data.dataset import resumable
from ..data.sampler import ResumableBatchSampler
from ..failures import explained
from ..hooks.checkpoint import SafeCheckpointHook
from ..seeds import seed_for, seed_generators

END = object()


class Resumable:
    """Base of both loops.

    Random numbers depend on the seed and the position only: those of a sample
    on its batch, those of an iteration, such as dropped paths, on its number
    and the rank. A resumed run starts at the next batch, without loading the
    ones before. If a validation was due it starts with that, because it may
    have been interrupted.

    Args:
        runner: The runner.
        dataloader: Dict to build the DataLoader.
        max_corrupt: Number of samples, per process, that may be replaced
            because their image cannot be read. Defaults to 0.
        endless: Whether batches are counted over all epochs.
        kwargs: As those of mmengine's loop.
    """
    resumes_anywhere = True  # also within an epoch

    def __init__(self, runner, dataloader: Union[DataLoader, dict], *,
                 endless: bool, max_corrupt: int, **kwargs) -> None:
        # with diff_rank_seed mmengine has another one in each process
        self.seed = agreement.of_first(runner.seed)
        if isinstance(dataloader, dict):
            dataloader = runner.build_dataloader(
                resumable(dataloader, self.seed, endless, max_corrupt),
                seed=self.seed)
        if not isinstance(dataloader.batch_sampler, ResumableBatchSampler):
            raise UserError(
                'train_dataloader is a DataLoader, which cannot start at any '
                'batch: give a dict to build it from')
        # mmengine's loops would start the workers now, before the position is
        # known: they get a DataLoader without workers
        super().__init__(runner, DataLoader(
            dataloader.dataset, generator=torch.Generator()), **kwargs)
        self.dataloader = dataloader
        # of the run that is resumed, if it was another one
        self.epoch_length_before: Optional[int] = None

    def batches(self, epoch: int, position: int) -> Iterator[Any]:
        """The batches of an epoch, or all, from a position on."""
        self.dataloader.batch_sampler.begin(epoch, position)
        with explained(self.runner, loading=True):
            batches = iter(self.dataloader)
        while True:
            with explained(self.runner, loading=True):
                batch = next(batches, END)
            if batch is END:
                return
            yield batch

    def seed_iteration(self) -> None:
        """Seed the generators for this iteration."""
        seed_generators(seed_for(self.seed, 'iteration', self.runner.rank,
                                 self._iter))

    def validate_if_due(self, done: int, last: int) -> None:
        """Save a checkpoint and validate, if a validation is due.

        Args:
            done: Number of complete epochs, or iterations.
            last: Number of epochs, or iterations, of the run.
        """
        self._decide_current_val_interval()
        if self.runner.val_loop is None or done < self.val_begin or not (
                done % self.val_interval == 0 or done == last):
            return
        SafeCheckpointHook.of(self.runner).save_interim(
            self.runner, self._epoch, self._iter)
        share_statistics(self.runner.model)
        with explained(self.runner, loading=True):
            self.runner.val_loop.run()


@LOOPS.register_module()
class ResumableEpochLoop(Resumable, EpochBasedTrainLoop):
    """mmengine's EpochBasedTrainLoop, but resumable from any iteration.

    See :class:`Resumable`.
    """

    def __init__(self, runner, dataloader: Union[DataLoader, dict],
                 max_epochs: int, val_begin: int = 1, val_interval: int = 1,
                 dynamic_intervals: Optional[List[Tuple[int, int]]] = None,
                 max_corrupt: int = 0) -> None:
        super().__init__(
            runner, dataloader, endless=False, max_corrupt=max_corrupt,
            max_epochs=max_epochs, val_begin=val_begin,
            val_interval=val_interval, dynamic_intervals=dynamic_intervals)
        self._max_iters = self._max_epochs * len(self.dataloader)

    def run(self) -> nn.Module:
        """Train to the end."""
        self.runner.call_hook('before_train')
        start = self.start()
        if self._iter and not start:
            self.validate_if_due(self._epoch, self._max_epochs)
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch(start)
            start = 0
            self.validate_if_due(self._epoch, self._max_epochs)
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self, start: int = 0) -> None:
        """Train for an epoch, or the rest of it.

        Args:
            start: Number of its batches that have been used.
        """
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        for index, batch in enumerate(self.batches(self._epoch, start), start):
            self.seed_iteration()
            with explained(self.runner, batch):
                self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def start(self) -> int:
        """Number of batches of the epoch that a resumed run has used."""
        length = len(self.dataloader)
        before = self.epoch_length_before or length
        used = self._iter - self._epoch * before
        if not 0 <= used <= before:  # more changed than once
            used = 0
        return used if before == length else used * length // before


@LOOPS.register_module()
class ResumableIterLoop(Resumable, IterBasedTrainLoop):
    """mmengine's IterBasedTrainLoop, but resumable from any iteration.

    See :class:`Resumable`.
    """

    def __init__(self, runner, dataloader: Union[DataLoader, dict],
                 max_iters: int, val_begin: int = 1, val_interval: int = 1000,
                 dynamic_intervals: Optional[List[Tuple[int, int]]] = None,
                 max_corrupt: int = 0) -> None:
        super().__init__(
            runner, dataloader, endless=True, max_corrupt=max_corrupt,
            max_iters=max_iters, val_begin=val_begin,
            val_interval=val_interval, dynamic_intervals=dynamic_intervals)

    def run(self) -> nn.Module:
        """Train to the end."""
        self.runner.call_hook('before_train')
        # the whole training is one epoch
        self.runner.call_hook('before_train_epoch')
        if self._iter:
            self.validate_if_due(self._iter, self._max_iters)
        batches = self.batches(0, self._iter)
        self.runner.model.train()
        while self._iter < self._max_iters and not self.stop_training:
            if not self.runner.model.training:  # after a validation
                self.runner.model.train()
            batch = next(batches)
            self.seed_iteration()
            with explained(self.runner, batch):
                self.run_iter(batch)
            self.validate_if_due(self._iter, self._max_iters)
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model


def share_statistics(model: nn.Module) -> None:
    """Broadcast the BatchNorm statistics of rank 0.

    A checkpoint has those. Otherwise each process would validate with its
    own, and a resumed run would get other metrics.
    """
    if get_world_size() == 1:
        return
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d,
                               nn.BatchNorm3d)):
            for buffer in module.buffers(recurse=False):
                broadcast(buffer)
