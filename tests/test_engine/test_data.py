"""Batches that begin anywhere, samples with seeds of their own."""
import itertools
import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import DataLoader, Dataset

from hpvit_mm.engine.data import Draw, GuardedDataset, ResumableBatchSampler
from hpvit_mm.engine.seeds import seed_for, seed_generators
from hpvit_mm.errors import RankError, UserError


class Dice(Dataset):
    """Draw a number from each generator."""
    metainfo = dict(classes=('one', ))

    def __len__(self):
        return 10

    def __getitem__(self, index):
        assert type(index) is int  # the hosts know nothing of draws
        return torch.tensor([index, random.random(), np.random.rand(),
                             torch.rand(()).item()], dtype=torch.float64)


def loader(workers=0, endless=False, start=0, epoch=0, batch_size=4,
           **options):
    dataset = GuardedDataset(Dice(), 'dice')
    kind = InfiniteSampler if endless else DefaultSampler
    sampler = ResumableBatchSampler(
        kind(dataset, shuffle=True, seed=3), batch_size, seed=3,
        endless=endless)
    sampler.begin(epoch, start)
    return DataLoader(dataset, batch_sampler=sampler, num_workers=workers,
                      **options)


@pytest.mark.parametrize('endless', [False, True])
def test_any_position_and_any_process(endless):
    """A sample draws the same, whoever loads it, whatever was before."""
    def take(**options):
        return list(itertools.islice(loader(endless=endless, **options), 7))

    whole = take()
    assert len(whole) == (7 if endless else 3)
    for workers, start in itertools.product((0, 2), (0, 1, 2, 3)):
        for one, other in zip(whole[start:],
                              take(workers=workers, start=start)):
            assert torch.equal(one, other)
    # nothing is drawn twice, in another epoch neither
    drawn = torch.cat(whole)[:, 1:]
    if not endless:
        drawn = torch.cat([drawn, *(one[:, 1:] for one in take(epoch=1))])
    assert all(len(column.unique()) == len(column) for column in drawn.T)


def test_persistent_workers():
    persistent = loader(workers=2, persistent_workers=True)
    for epoch in (0, 1):
        persistent.batch_sampler.begin(epoch)
        for one, other in zip(persistent, loader(epoch=epoch)):
            assert torch.equal(one, other)


def test_an_endless_finite_sampler():
    """One epoch after the other, each in its own order."""
    dataset = Dice()
    sampler = ResumableBatchSampler(DefaultSampler(dataset, seed=1), 4, seed=1,
                                    endless=True)
    batches = list(itertools.islice(sampler, 7))
    assert [len(batch) for batch in batches] == [4, 4, 2, 4, 4, 2, 4]
    epochs = [sum(batches[:3], []), sum(batches[3:6], [])]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]
    sampler.begin(0, 4)
    for batch in batches[4:]:
        again = next(resumed := iter(sampler)) if batch is batches[4] \
            else next(resumed)
        assert [(i, i.seed) for i in again] == [(i, i.seed) for i in batch]


def test_late_positions_come_at_once():
    """Without loading a sample: 150,000 batches are indices alone."""
    sampler = ResumableBatchSampler(InfiniteSampler(range(20_000), seed=0), 2,
                                    seed=0, endless=True)
    sampler.begin(0, 150_000)
    assert len(next(iter(sampler))) == 2


def test_no_batches():
    with pytest.raises(UserError, match='gives no batches'):
        next(iter(ResumableBatchSampler(
            DefaultSampler(Dice()), 20, seed=0, drop_last=True,
            endless=True)))


def test_a_draw_is_an_index():
    draw = pickle.loads(pickle.dumps(Draw(3, 2**62)))
    assert draw == 3 and draw.seed == 2**62 and [0, 1, 2, 'x'][draw] == 'x'


def test_the_data_set_inside():
    guarded = GuardedDataset(Dice(), 'dice')
    assert guarded.metainfo is Dice.metainfo and len(guarded) == 10
    guarded.pipeline = 'another'  # as mmdet's hooks do
    assert guarded.dataset.pipeline == 'another'
    assert not hasattr(guarded, 'full_init')
    copy = pickle.loads(pickle.dumps(guarded))
    assert copy.pipeline == 'another' and copy.name == 'dice'


class Files(Dice):
    """Samples with images, the third of which is broken."""

    def __init__(self, folder):
        import cv2
        self.folder = folder
        for i in range(10):
            cv2.imwrite(f'{folder}/{i}.png', np.zeros((2, 2), np.uint8))
        (folder / '3.png').write_bytes(b'no image')

    def get_data_info(self, index):
        return dict(img_path=f'{self.folder}/{index}.png')

    def __getitem__(self, index):
        if index == 3:
            path = self.get_data_info(3)['img_path']
            with open(path, 'rb'):
                raise ValueError('some host says this')
        if index == 5:
            raise KeyError('a fault of the code')
        return super().__getitem__(index)


def test_a_file_that_cannot_be_read(tmp_path):
    guarded = GuardedDataset(Files(tmp_path), 'train_dataloader')
    with pytest.raises(RankError, match='/3.png, of sample 3 of train_dat.*'
                       'cannot be read as an image.*--max-corrupt'):
        guarded[3]
    with pytest.raises(KeyError, match='fault of the code'):
        guarded[5]
    (tmp_path / '3.png').unlink()
    with pytest.raises(RankError, match='is missing'):
        guarded[3]


def test_faults_of_the_code_are_no_broken_files(tmp_path):
    """Of files that other means read, or that lie elsewhere."""
    class Others(Files):

        def get_data_info(self, index):
            return dict(img_path=self.path)

    dataset = Others(tmp_path)
    guarded = GuardedDataset(dataset, 'train_dataloader')
    (tmp_path / 'a.npy').write_bytes(b'no image')
    for path in str(tmp_path / 'a.npy'), 'in/another/backend.png':
        dataset.path = path
        with pytest.raises(KeyError, match='fault of the code'):
            guarded[5]


def test_files_that_are_replaced(tmp_path, capfd):
    guarded = GuardedDataset(Files(tmp_path), 'train_dataloader', 2)
    one, other = guarded[Draw(3, 7)], guarded[Draw(3, 7)]
    assert one[0] == 4 and torch.equal(one, other)
    assert not torch.equal(one, guarded[Draw(4, 7)])
    assert '3.png' in capfd.readouterr().err
    with pytest.raises(RankError, match='more than 2 samples'):
        guarded[3]


def test_seeds():
    places = [(0, 'sample', 0, 0, 0, 0), (0, 'sample', 0, 0, 0, 1),
              (0, 'iteration', 0, 0), (1, 'iteration', 0, 0)]
    assert len({seed_for(*place) for place in places}) == 4
    assert seed_for(0, 'sample') == seed_for(0, 'sample')
    assert 0 <= seed_for(1) < 2**63

    def draw(seed):
        seed_generators(seed)
        return random.random(), np.random.rand(), torch.rand(()).item()

    assert draw(2**62 + 1) == draw(2**62 + 1)
    assert not set(draw(1)) & set(draw(2))
