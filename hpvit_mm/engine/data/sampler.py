"""Batch sampler that can start at any batch, with per-sample seeds."""
import itertools
from numbers import Integral
from typing import Iterator, List, Optional

from mmengine.dist import get_rank
from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from torch.utils.data import BatchSampler, Sampler

from hpvit_mm.errors import UserError
from hpvit_mm.registry import DATA_SAMPLERS

from ..seeds import seed_for


class Draw(int):
    """Index of a sample, with the seed of its augmentation."""

    def __new__(cls, index: int, seed: int) -> 'Draw':
        draw = super().__new__(cls, index)
        draw.seed = seed
        return draw

    def __reduce__(self) -> tuple:
        return Draw, (int(self), self.seed)


@DATA_SAMPLERS.register_module()
class ResumableBatchSampler:
    """Batch sampler that starts at any position, without loading data.

    Works with every sampler whose order depends on its seed and the epoch
    alone, as in mmengine. Of skipped batches only the indices are computed.

    Args:
        sampler: Sampler of indices.
        batch_size: Indices per batch.
        seed: Of the run; the same in all processes.
        batch_sampler: Dict to build a batch sampler, such as mmdet's
            AspectRatioBatchSampler. Defaults to None: consecutive indices.
        drop_last: Whether to drop an incomplete last batch. Only without
            ``batch_sampler``. Defaults to False.
        endless: Whether to go through epochs without an end, for loops that
            count iterations. Defaults to False.
    """

    def __init__(self, sampler: Sampler, batch_size: int, seed: int,
                 batch_sampler: Optional[dict] = None,
                 drop_last: bool = False, endless: bool = False) -> None:
        if batch_sampler is None:
            self.batches = BatchSampler(sampler, batch_size, drop_last)
        else:
            self.batches = MMENGINE_DATA_SAMPLERS.build(
                batch_sampler,
                default_args=dict(sampler=sampler, batch_size=batch_size))
        # read by mmengine and by its hooks
        self.sampler = sampler
        self.batch_size = batch_size
        self.seed = seed
        self.endless = endless
        self.epoch = self.position = 0

    def begin(self, epoch: int, position: int = 0) -> None:
        """Set where the next iteration over the batches starts.

        Args:
            epoch: The epoch; 0 if ``endless``.
            position: Number of batches to skip.
        """
        self.epoch, self.position = epoch, position

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[List[int]]:
        first, self.position = self.position, 0
        epoch, rank = self.epoch, get_rank()
        batches = itertools.islice(self._all(), first, None)
        for number, batch in enumerate(batches, first):
            place = self.seed, 'sample', rank, epoch, number
            yield [Draw(index, seed_for(*place, i))
                   if isinstance(index, Integral) else index
                   for i, index in enumerate(batch)]

    def _all(self) -> Iterator[List[int]]:
        epochs = itertools.count(self.epoch) if self.endless else [self.epoch]
        for epoch in epochs:
            if hasattr(self.sampler, 'set_epoch'):
                self.sampler.set_epoch(epoch)
            empty = True
            for batch in self.batches:
                empty = False
                yield batch
            if empty and self.endless:
                raise UserError(
                    'train_dataloader gives no batches: its dataset has fewer '
                    f'samples than a batch of {self.batch_size}; correct the '
                    'dataset, or the batch_size')
