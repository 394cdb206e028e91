"""The checkpoint that a run starts from, for any state of its work dir."""
import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple, Optional

import pytest
import torch
from mmengine.config import Config

from hpvit_mm.engine import resume
from hpvit_mm.engine.arguments import NEWEST
from hpvit_mm.engine.resume import find_start, settle_start
from hpvit_mm.errors import UserError


@pytest.fixture(autouse=True)
def said(monkeypatch):
    """Collect the log from before there is a runner."""
    lines = []
    monkeypatch.setattr(resume, 'say', lambda text, *_: lines.append(text))
    return lines


@pytest.fixture
def work_dir(tmp_path):
    """A work dir with three epochs and their best one."""
    folder = tmp_path / 'work'
    folder.mkdir()
    for epoch in (1, 2, 3):
        write(folder / f'epoch_{epoch}.pth', 10 * epoch)
    write(folder / 'best_top1_epoch_2.pth', 20)
    (folder / 'last_checkpoint').write_text('epoch_3.pth')
    return folder


def write(path: Path, iteration: int, **more) -> None:
    torch.save(dict(
        state_dict=dict(weight=torch.arange(1000.) + iteration),
        optimizer=dict(state={}), message_hub={},
        meta=dict(epoch=iteration // 10, iter=iteration), **more), path)


class Start(NamedTuple):
    checkpoint: Optional[str]
    seed: int


def start(folder: Path, flag=NEWEST, restart=False, **config):
    cfg = Config(dict(work_dir=str(folder), **config))
    return Start(*find_start(cfg, flag, restart))


def cut(path):
    path.write_bytes(path.read_bytes()[:-500])


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b'')


def fill_with_zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def end_with_zeros(path):
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:size // 2] + bytes(size // 2))


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4  # within the weights
    path.write_bytes(content)


def flip_a_bit_of_the_pickle(path):
    content = bytearray(path.read_bytes())
    content[content.index(b'state_dict') + 3] ^= 1
    path.write_bytes(content)


def replace_by_text(path):
    path.write_text('No space left on device\n')


def replace_by_a_list(path):
    torch.save([1, 2], path)


def leave_weights_alone(path):
    torch.save(dict(state_dict=dict(weight=torch.ones(3))), path)


def lose_the_optimizer(path):
    content = torch.load(path)
    del content['optimizer']
    torch.save(content, path)


def lose_the_iteration(path):
    content = torch.load(path)
    content['meta'] = dict(epoch=3)
    torch.save(content, path)


def put_code_in(path):

    class Attack:

        def __reduce__(self):
            return os.system, (f'touch {path}.executed', )

    torch.save(dict(state_dict={}, meta=Attack()), path)


BREAK = [cut, cut_in_half, empty, fill_with_zeros, end_with_zeros, flip_a_bit,
         flip_a_bit_of_the_pickle, replace_by_text, replace_by_a_list,
         leave_weights_alone, lose_the_optimizer, lose_the_iteration,
         put_code_in]


@pytest.mark.parametrize('breaking', BREAK)
def test_a_broken_newest_checkpoint(breaking, work_dir, said):
    """The next older one is taken, loudly; nothing is lost or executed."""
    breaking(work_dir / 'epoch_3.pth')
    found = start(work_dir)
    assert found.checkpoint == str(work_dir / 'epoch_2.pth')
    assert 'epoch_3.pth cannot be resumed from' in said[0]
    assert (work_dir / 'epoch_3.pth.broken').exists()
    assert not (work_dir / 'epoch_3.pth').exists()
    assert not list(work_dir.glob('*.executed'))
    # again, with the pointer that names what is gone now
    assert start(work_dir).checkpoint == str(work_dir / 'epoch_2.pth')


def test_a_missing_newest_checkpoint(work_dir):
    (work_dir / 'epoch_3.pth').unlink()
    found = start(work_dir)
    assert found.checkpoint == str(work_dir / 'epoch_2.pth')


@pytest.mark.parametrize('text', [None, '', '\0\0\0', 'epoch_2.pth'])
def test_the_pointer_is_not_needed(text, work_dir):
    """It may be gone, broken, or older than the newest checkpoint."""
    pointer = work_dir / 'last_checkpoint'
    pointer.unlink() if text is None else pointer.write_text(text)
    assert start(work_dir).checkpoint == str(work_dir / 'epoch_3.pth')


def test_a_moved_work_dir(work_dir, tmp_path):
    """With mmengine's absolute pointer, too."""
    moved = tmp_path / 'elsewhere'
    shutil.move(work_dir, moved)
    (moved / 'last_checkpoint').write_text(f'{work_dir}/epoch_3.pth')
    found = start(moved)
    assert found.checkpoint == str(moved / 'epoch_3.pth')


def test_by_progress_not_by_name(work_dir):
    """epoch_10 is after epoch_9, and interim checkpoints count."""
    write(work_dir / 'epoch_10.pth', 100)
    write(work_dir / 'interim_iter_95.pth', 95)
    assert start(work_dir).checkpoint == str(work_dir / 'epoch_10.pth')
    write(work_dir / 'interim_iter_103.pth', 103)
    assert start(work_dir).checkpoint == str(work_dir / 'interim_iter_103.pth')


def test_checkpoints_elsewhere(work_dir, tmp_path):
    """``out_dir`` of the hook, below which mmengine names the work dir."""
    elsewhere = tmp_path / 'big disk/work'
    shutil.move(work_dir, elsewhere)
    hooks = dict(checkpoint=dict(out_dir=str(elsewhere.parent)))
    found = start(work_dir, default_hooks=hooks)
    assert found.checkpoint == str(elsewhere / 'epoch_3.pth')
    with pytest.raises(UserError, match='--restart'):
        start(work_dir, None, default_hooks=hooks)


def test_a_folder_below_the_work_dirs_parent(tmp_path, monkeypatch):
    """mmengine compares out_dir with the absolute path of the work dir."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'rel/work/work').mkdir(parents=True)
    write(tmp_path / 'rel/work/work/epoch_1.pth', 10)
    found = start('rel/work', default_hooks=dict(
        checkpoint=dict(out_dir='rel/work')))
    assert found.checkpoint == 'rel/work/work/epoch_1.pth'


@pytest.mark.parametrize('flag, says', [
    (NEWEST, 'has no checkpoint that training'), (None, '--resume')])
def test_only_broken_ones_elsewhere(flag, says, work_dir, tmp_path):
    elsewhere = tmp_path / 'big disk/work'
    shutil.move(work_dir, elsewhere)
    for path in elsewhere.glob('*.pth'):
        empty(path)
    with pytest.raises(UserError, match=says):
        start(work_dir, flag, default_hooks=dict(
            checkpoint=dict(out_dir=str(elsewhere.parent))))


def test_other_names(work_dir):
    for path in work_dir.glob('epoch*.pth'):
        path.rename(work_dir / path.name.replace('epoch', 'my-model'))
    hooks = dict(checkpoint=dict(filename_tmpl='my-model_{}.pth'))
    found = start(work_dir, default_hooks=hooks)
    assert found.checkpoint == str(work_dir / 'my-model_3.pth')
    with pytest.raises(UserError, match='--restart'):
        start(work_dir, None, default_hooks=hooks)


@pytest.mark.parametrize('kept', [
    ['epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth'], ['best_top1_epoch_2.pth']])
def test_no_good_checkpoint(kept, work_dir):
    """Not a start from scratch over what is left of a run."""
    for path in work_dir.glob('*.pth'):
        path.write_bytes(b'broken') if path.name in kept else path.unlink()
    before = sorted(work_dir.iterdir())
    reason = 'epoch_3.pth: .*epoch_1.pth: ' if len(kept) == 3 else 'best_top1'
    with pytest.raises(UserError, match='has no checkpoint that training can '
                       f'continue from .*{reason}.*--restart'):
        start(work_dir)
    # nothing has a new name that nobody was told
    assert set(work_dir.iterdir()) == {*before}


def test_files_that_are_no_checkpoints_of_a_training(work_dir):
    """All of a run with save_optimizer=False, whose files are good."""
    for path in work_dir.glob('epoch*.pth'):
        lose_the_optimizer(path)
    with pytest.raises(UserError, match='epoch_3.pth: the file has no optim'):
        start(work_dir)
    assert (work_dir / 'epoch_3.pth').exists()


def test_nothing_there(tmp_path, said):
    assert start(tmp_path).checkpoint is None
    assert 'starting from scratch' in said[0]


@pytest.mark.parametrize('name', ['epoch_1.pth', 'best_top1_epoch_2.pth',
                                  'epoch_1.pth.broken', 'last_checkpoint'])
def test_no_start_over_an_earlier_run(name, tmp_path):
    (tmp_path / name).write_text('x')
    with pytest.raises(UserError, match='--resume.* --restart'):
        start(tmp_path, None)
    assert (tmp_path / name).read_text() == 'x'


def test_restart(work_dir, said):
    """Twice; nothing is lost."""
    (work_dir / 'a config.py').touch()
    (work_dir / 'run.json').write_text('{"seed": 5}')
    names = {path.name for path in work_dir.iterdir()} - {'a config.py'}
    found = start(work_dir, None, True)
    assert found.checkpoint is None and found.seed != 5
    aside = work_dir / 'before_restart'
    assert {path.name for path in aside.iterdir()} == names
    assert len(said) == 6
    write(work_dir / 'epoch_1.pth', 10)
    start(work_dir, None, True)
    assert (work_dir / 'before_restart_2/epoch_1.pth').exists()
    with pytest.raises(UserError, match='one of them'):
        start(work_dir, NEWEST, True)


def test_a_named_checkpoint(work_dir, tmp_path):
    path = str(work_dir / 'epoch_3.pth')
    assert start(tmp_path / 'other', path).checkpoint == path
    assert start(work_dir, path).checkpoint == path
    with pytest.raises(UserError, match='no such file'):
        start(work_dir, str(work_dir / 'epoch_4.pth'))
    with pytest.raises(UserError, match='no optimizer, message_hub, meta'):
        leave_weights_alone(tmp_path / 'weights.pth')
        start(work_dir, str(tmp_path / 'weights.pth'))
    flip_a_bit(Path(path))
    with pytest.raises(UserError, match='is damaged'):
        start(work_dir, path)


def test_a_named_checkpoint_before_others(work_dir, tmp_path):
    """Training again from it would replace them."""
    path = str(work_dir / 'epoch_2.pth')
    with pytest.raises(UserError, match='would overwrite epoch_3.pth'):
        start(work_dir, path)
    (work_dir / 'epoch_3.pth').unlink()
    assert start(work_dir, path).checkpoint == path


def test_a_named_checkpoint_over_another_run(work_dir, tmp_path):
    other = tmp_path / 'other.pth'
    shutil.copy(work_dir / 'epoch_1.pth', other)
    with pytest.raises(UserError, match='would overwrite'):
        start(work_dir, str(other))


def test_places_that_cannot_be_written(work_dir):
    with pytest.raises(UserError, match='/proc/x.* cannot be written'):
        start(work_dir, default_hooks=dict(checkpoint=dict(out_dir='/proc/x')))


def test_restart_with_checkpoints_elsewhere(work_dir, tmp_path, said):
    """Each file stays on its disk."""
    elsewhere = tmp_path / 'big disk/work'
    elsewhere.mkdir(parents=True)
    for path in work_dir.glob('*.pth'):
        path.rename(elsewhere / path.name)
    start(work_dir, None, True, default_hooks=dict(
        checkpoint=dict(out_dir=str(elsewhere.parent))))
    assert (elsewhere / 'before_restart/epoch_3.pth').exists()
    assert (work_dir / 'before_restart/last_checkpoint').exists()
    assert len(said) == 5


def test_what_the_config_says(work_dir):
    path = str(work_dir / 'epoch_3.pth')
    assert start(work_dir, None, resume=True).checkpoint == path
    assert start(work_dir, None, resume=True,
                 load_from=path).checkpoint == path
    assert start(work_dir, None, True, resume=True).checkpoint is None


def test_what_the_config_becomes(work_dir, tmp_path):
    cfg = Config(dict(work_dir=str(work_dir), load_from='pretrained.pth'))
    settle_start(cfg, NEWEST, False)
    assert cfg.resume and cfg.load_from == str(work_dir / 'epoch_3.pth')
    cfg = Config(dict(work_dir=str(tmp_path / 'new'), resume=True,
                      load_from='pretrained.pth'))
    settle_start(cfg, NEWEST, False)
    assert not cfg.resume and cfg.load_from == 'pretrained.pth'
    cfg = Config(dict(work_dir=str(tmp_path / 'third'), randomness=None))
    settle_start(cfg, None, False)
    assert isinstance(cfg.randomness.seed, int)


def test_a_drawn_seed_is_kept(tmp_path, work_dir):
    """Also by a run that was killed before its first checkpoint."""
    new = tmp_path / 'new'
    first = start(new, None)
    assert json.loads((new / 'run.json').read_text()) == {'seed': first.seed}
    assert start(new).seed == first.seed
    assert start(tmp_path / 'other', None).seed != first.seed
    for text in '{"se', '[]':  # the first is cut by a full disk
        (new / 'run.json').write_text(text)
        assert isinstance(start(new).seed, int)
    # of a checkpoint, in its record, wherever it lies
    content = torch.load(work_dir / 'epoch_3.pth')
    content['meta']['hpvit_mm'] = dict(seed=7)
    torch.save(content, work_dir / 'epoch_3.pth')
    assert start(tmp_path / 'third', str(work_dir / 'epoch_3.pth')).seed == 7
    # what is asked for goes first
    assert start(new, randomness=dict(seed=3)).seed == 3
