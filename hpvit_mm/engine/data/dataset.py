"""Data sets whose random numbers and mistakes have a place."""
import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any, Iterator

import mmcv
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from torch.utils.data import Dataset, get_worker_info

from hpvit_mm.errors import RankError, UserError
from hpvit_mm.registry import DATASETS

from ..seeds import seed_for, seed_generators
from ..signals import protect_worker
from .sampler import Draw, ResumableBatchSampler


# Files of other names may be read by means of their own.
IMAGES = ('.bmp', '.gif', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff',
          '.webp')


@DATASETS.register_module()
class GuardedDataset(Dataset):
    """Another data set, with seeds per sample and a name for what is broken.

    The augmentation of a :class:`Draw` depends on its seed alone: not on the
    process that loads it, nor on what was loaded before. A sample of which a
    file is missing or damaged is an error that names the file, or, where that
    is allowed, another one takes its place. All else is that of the data set
    inside, which whoever reads or sets an attribute here reaches.

    Args:
        dataset: The data set, or a dict to build it.
        name: What messages call it, such as 'train_dataloader'.
        max_corrupt: How many samples of which a file cannot be read may be
            replaced, per process of the run. Defaults to 0: none.
    """

    OWN = ('dataset', 'name', 'max_corrupt', 'corrupt', 'process')

    def __init__(self, dataset: Any, name: str, max_corrupt: int = 0) -> None:
        if isinstance(dataset, dict):
            dataset = MMENGINE_DATASETS.build(dataset)
        self.dataset = dataset
        if type(dataset).__name__ == 'MultiImageMixDataset':
            # mixed-in samples have files, too; they are replaced in there
            dataset.dataset = GuardedDataset(dataset.dataset, name,
                                             max_corrupt)
        self.name = name
        self.max_corrupt = max_corrupt
        # counted by all workers together
        self.corrupt = multiprocessing.Value('q', 0) if max_corrupt else None
        self.process = os.getpid()

    def __getattr__(self, name: str) -> Any:
        if name in self.OWN or name.startswith('__'):
            raise AttributeError(name)  # while being unpickled
        return getattr(self.dataset, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.OWN:
            super().__setattr__(name, value)
        else:
            setattr(self.dataset, name, value)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        if self.process != os.getpid():
            self.process = os.getpid()
            if get_worker_info():
                protect_worker()  # where fork did not
        tried = int(index)
        while True:
            if isinstance(index, Draw):
                # what replaces a sample has random numbers of its own
                seed_generators(index.seed if tried == index else
                                seed_for(index.seed, tried))
            try:
                return self.dataset[tried]
            except UserError:  # of the data set inside of this one's
                raise
            except Exception as error:
                self._explain(tried, error)
            tried = (tried + 1) % len(self.dataset)

    def _explain(self, index: int, error: Exception) -> None:
        """Count an unreadable file, or raise what is to be said."""
        file = next(self._unreadable(index, error), None)
        if file is None:
            if hasattr(error, 'add_note'):  # Python 3.11
                error.add_note(f'(sample {index} of {self.name}: '
                               f'{next(self._files(index), "?")})')
            raise error
        what = 'is missing' if not Path(file).exists() else \
            'cannot be read as an image, it is damaged or empty'
        if not self.max_corrupt:
            remedy = 'restore it, or take it out of the data set'
            if self.name.startswith('train'):
                remedy += ('; or let up to N such samples be replaced by '
                           'others with --max-corrupt N')
            raise RankError(
                f'{file}, of sample {index} of {self.name}, {what}: {remedy}')
        with self.corrupt.get_lock():
            self.corrupt.value += 1
            count = self.corrupt.value
        if count > self.max_corrupt:
            raise RankError(
                f'{file}, of sample {index} of {self.name}, {what}, and it is '
                f'not the first: more than {self.max_corrupt} samples could '
                'not be read; restore the files that the log names, or allow '
                'more with --max-corrupt')
        worker = get_worker_info()
        print(f'warning: {file} {what}: another sample takes its place '
              f'({count} of at most {self.max_corrupt}'
              + (f', worker {worker.id})' if worker else ')'),
              file=sys.stderr, flush=True)

    def _files(self, index: int) -> Iterator[str]:
        """The image of a sample, and its label map."""
        try:
            info = self.dataset.get_data_info(index)
        except Exception:  # a data set that is not of mmengine
            return
        for key in ('img_path', 'seg_map_path'):
            if isinstance(info.get(key), (str, Path)):
                yield str(info[key])

    def _unreadable(self, index: int, error: Exception) -> Iterator[str]:
        """Those of the files that are missing, or no images."""
        for file in self._files(index):
            if Path(file).exists():
                if file.lower().endswith(IMAGES) and not readable(file):
                    yield file
            elif isinstance(error, FileNotFoundError):
                yield file


def readable(file: str) -> bool:
    """Whether a file is an image."""
    try:
        return mmcv.imfrombytes(Path(file).read_bytes(),
                                flag='unchanged') is not None
    except Exception:  # each decoder has its own
        return False


def guarded(loader: dict, name: str, max_corrupt: int = 0) -> dict:
    """The dict of a data loader, around whose data set this is put."""
    return dict(loader, dataset=dict(
        type=GuardedDataset, dataset=loader['dataset'], name=name,
        max_corrupt=max_corrupt))


def resumable(loader: dict, seed: int, endless: bool,
              max_corrupt: int = 0) -> dict:
    """The dict of a data loader that can begin at any of its batches.

    Args:
        loader: The dict, as in configs.
        seed: Of the run, the same in all processes.
        endless: As in :class:`ResumableBatchSampler`.
        max_corrupt: As in :class:`GuardedDataset`.
    """
    loader = guarded(loader, 'train_dataloader', max_corrupt)
    loader['batch_sampler'] = dict(
        type=ResumableBatchSampler, seed=seed, endless=endless,
        batch_sampler=loader.get('batch_sampler'),
        drop_last=loader.pop('drop_last', False))
    return loader
