"""Dataset wrapper: per-sample seeds, and errors that name the file."""
import multiprocessing
import sys
from pathlib import Path
from typing import Any, Iterator, Optional

import mmcv
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from torch.utils.data import Dataset

from hpvit_mm.errors import RankError, UserError
from hpvit_mm.registry import DATASETS

from ..seeds import seed_for, seed_generators
from ..signals import protect_worker
from .sampler import Draw, ResumableBatchSampler

IMAGES = ('.bmp', '.gif', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff',
          '.webp')


@DATASETS.register_module()
class GuardedDataset(Dataset):
    """Wrapper of a dataset, with per-sample seeds and errors that name a file.

    The augmentation of a :class:`Draw` depends on its seed alone: neither on
    the worker that loads it nor on what was loaded before. A sample whose
    image is missing or damaged raises an error that names the file, or is
    replaced by the next one, up to a limit. All other attributes are those of
    the dataset inside, also when they are set.

    Args:
        dataset: The dataset, or a dict to build it.
        name: What messages call it, such as 'train_dataloader'.
        max_corrupt: Number of samples, per process of the run, that may be
            replaced. Defaults to 0.
    """

    OWN = ('dataset', 'name', 'max_corrupt', 'corrupt')

    def __init__(self, dataset: Any, name: str, max_corrupt: int = 0) -> None:
        if isinstance(dataset, dict):
            dataset = MMENGINE_DATASETS.build(dataset)
        self.dataset = dataset
        self.name = name
        self.max_corrupt = max_corrupt
        # counted by all workers together
        self.corrupt = multiprocessing.Value('q', 0) if max_corrupt else None

    def __getattr__(self, name: str) -> Any:
        if name in self.OWN or name.startswith('__'):
            raise AttributeError(name)  # while it is unpickled
        return getattr(self.dataset, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.OWN:
            super().__setattr__(name, value)
        else:
            setattr(self.dataset, name, value)

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        if multiprocessing.parent_process():  # a worker that is not forked
            protect_worker()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        tried = int(index)
        while True:
            if isinstance(index, Draw):
                seed_generators(index.seed if tried == index else
                                seed_for(index.seed, tried))
            try:
                return self.dataset[tried]
            except UserError:
                raise
            except Exception as error:
                file = self._unreadable(tried, error)
                if file is None:
                    if hasattr(error, 'add_note'):  # Python 3.11
                        files = ', '.join(self._files(tried)) or '?'
                        error.add_note(
                            f'(sample {tried} of {self.name}: {files})')
                    raise
                self._count(tried, file)
            tried = (tried + 1) % len(self.dataset)

    def _files(self, index: int) -> Iterator[str]:
        """The image of a sample, and its label map."""
        try:
            info = self.dataset.get_data_info(index)
        except Exception:  # not a dataset of mmengine
            return
        for key in ('img_path', 'seg_map_path'):
            if isinstance(info.get(key), (str, Path)):
                yield str(info[key])

    def _unreadable(self, index: int, error: Exception) -> Optional[str]:
        """The file of a sample that is missing or not an image, if any."""
        for file in self._files(index):
            if Path(file).exists():
                if file.lower().endswith(IMAGES) and not readable(file):
                    return file
            elif isinstance(error, FileNotFoundError):
                return file
        return None

    def _count(self, index: int, file: str) -> None:
        """Warn that a sample is replaced, or raise if it may not be."""
        what = 'cannot be read as an image' if Path(file).exists() \
            else 'is missing'
        text = f'{file}, of sample {index} of {self.name}, {what}'
        if not self.max_corrupt:
            remedy = 'restore it, or remove it from the dataset'
            if self.name.startswith('train'):
                remedy += ('; or let up to N such samples be replaced by '
                           'others with --max-corrupt N')
            raise RankError(f'{text}: {remedy}')
        with self.corrupt.get_lock():
            self.corrupt.value += 1
            count = self.corrupt.value
        if count > self.max_corrupt:
            raise RankError(
                f'{text}, and more than {self.max_corrupt} samples could not '
                'be read: restore the files that the log names, or raise '
                '--max-corrupt')
        print(f'warning: {text}: the next sample replaces it ({count} of at '
              f'most {self.max_corrupt})', file=sys.stderr, flush=True)


def readable(file: str) -> bool:
    """Return whether a file can be decoded as an image."""
    try:
        return mmcv.imfrombytes(Path(file).read_bytes(),
                                flag='unchanged') is not None
    except Exception:  # each decoder has its own
        return False


def guarded(loader: dict, name: str, max_corrupt: int = 0) -> dict:
    """Wrap the dataset in the config of a DataLoader."""
    return dict(loader, dataset=dict(
        type=GuardedDataset, dataset=loader['dataset'], name=name,
        max_corrupt=max_corrupt))


def resumable(loader: dict, seed: int, endless: bool,
              max_corrupt: int = 0) -> dict:
    """Make the config of a DataLoader one that can start at any batch.

    Args:
        loader: The config.
        seed: Seed of the run, the same in all processes.
        endless: As in :class:`ResumableBatchSampler`.
        max_corrupt: As in :class:`GuardedDataset`.
    """
    loader = guarded(loader, 'train_dataloader', max_corrupt)
    loader['batch_sampler'] = dict(
        type=ResumableBatchSampler, seed=seed, endless=endless,
        batch_sampler=loader.get('batch_sampler'),
        drop_last=loader.pop('drop_last', False))
    return loader
