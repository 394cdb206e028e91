"""Training loops that can be killed anywhere and go on from there."""
from typing import Any, Iterator, List, Optional, Tuple, Union

from mmengine.dist import broadcast, get_world_size
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader, Dataset

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
    """What both loops share.

    All random numbers are functions of the seed and the place: those of a
    sample of its batch, those of an iteration, such as dropped paths, of its
    number and the rank. A resumed run begins at the next batch, without
    loading those before. If a validation was due it begins with that, as
    nobody knows whether it was complete.

    Args:
        runner: The runner.
        dataloader: Dict to build the data loader.
        max_corrupt: How many samples that cannot be read are replaced by
            others, per process. Defaults to 0: they are errors.
        endless: Whether batches are counted over all epochs.
        kwargs: As those of mmengine's loop.
    """
    resumes_anywhere = True  # also within an epoch

    def __init__(self, runner, dataloader: Union[DataLoader, dict], *,
                 endless: bool, max_corrupt: int, **kwargs) -> None:
        # With diff_rank_seed that of mmengine is another one in each process.
        self.seed = agreement.of_first(runner.seed)
        if isinstance(dataloader, dict):
            dataloader = runner.build_dataloader(
                resumable(dataloader, self.seed, endless, max_corrupt),
                seed=self.seed)
        if not isinstance(dataloader.batch_sampler, ResumableBatchSampler):
            raise UserError(
                'train_dataloader is a DataLoader already, which cannot begin '
                'anywhere: give a dict, from which it is built')
        super().__init__(runner, NotYet(dataloader.dataset), **kwargs)
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
        """Give this iteration random numbers of its own."""
        seed_generators(seed_for(self.seed, 'iteration', self.runner.rank,
                                 self._iter))

    def validate_if_due(self, done: int, last: int) -> None:
        """Validate, with a checkpoint in front of it.

        Args:
            done: How many epochs, or iterations, are complete.
            last: How many there will be.
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
    """mmengine's EpochBasedTrainLoop, whose runs resume bit for bit.

    Also from within an epoch. See :class:`Resumable`.
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
        """Train for an epoch, or what is left of it.

        Args:
            start: How many of its batches have been used.
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
        """How many batches of the epoch a resumed run has used."""
        length = len(self.dataloader)
        before = self.epoch_length_before or length
        used = self._iter - self._epoch * before
        if not 0 <= used <= before:  # more changed than once
            used = 0
        return used if before == length else used * length // before


@LOOPS.register_module()
class ResumableIterLoop(Resumable, IterBasedTrainLoop):
    """mmengine's IterBasedTrainLoop, whose runs resume bit for bit.

    At once, however late: skipped batches cost no more than their indices.
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
        while self._iter < self._max_iters and not self.stop_training:
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
    """Give all processes the statistics of rank 0's BatchNorm layers.

    They are those that a checkpoint has. Without it each process would
    validate with its own, and a resumed run find other metrics.
    """
    if get_world_size() == 1:
        return
    for module in model.modules():
        if isinstance(module, _BatchNorm) and not isinstance(
                module, nn.SyncBatchNorm):
            for buffer in module.buffers(recurse=False):
                broadcast(buffer)


class NotYet:
    """What mmengine's loops take for a data loader while they are built.

    Two of the three start its processes at once, before it is known where to
    begin.

    Args:
        dataset: The data set, of which they read the metadata.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator:
        return iter(())
