"""Building: same bytes, never over anything, never half."""
import fcntl
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hpvit_mm.datasets import check_samples, make, make_samples
from hpvit_mm.errors import UserError

TOOL = Path(__file__).parents[2] / 'tools/make_sample_data.py'


def digest(root):
    """Hash of all names and bytes below a folder."""
    total = hashlib.sha256()
    for path in sorted(Path(root).rglob('*')):
        total.update(str(path.relative_to(root)).encode())
        if path.is_file():
            total.update(path.read_bytes())
    return total.hexdigest()


def run(*args, **kwargs):
    return subprocess.run([sys.executable, str(TOOL), *map(str, args)],
                          capture_output=True, text=True, **kwargs)


def leftovers(folder):
    return [p for p in Path(folder).iterdir() if '.building-' in p.name]


@pytest.fixture
def copy(sample_data, tmp_path):
    """A private copy of the samples."""
    import shutil
    return Path(shutil.copytree(sample_data, tmp_path / 'samples'))


def test_same_seed_same_bytes(sample_data, tmp_path):
    random.seed(99)
    np.random.seed(99)
    make_samples(tmp_path / 'a', size=64, counts='tiny')
    assert digest(tmp_path / 'a') == digest(sample_data)
    assert not leftovers(tmp_path)


def test_command_and_threads_give_the_same_bytes(sample_data, tmp_path):
    out = tmp_path / 'new' / 'samples'
    done = run('--out', out, '--size', 64, '--counts', 'tiny',
               env=dict(os.environ, OMP_NUM_THREADS='1',
                        OPENBLAS_NUM_THREADS='1', PYTHONHASHSEED='7'))
    assert done.returncode == 0, done.stderr
    assert digest(out) == digest(sample_data)
    for word in ('imagenet', 'coco', 'ade20k', 'cityscapes', ' s\n'):
        assert word in done.stdout
    again = run('--out', out, '--size', 64, '--counts', 'tiny')
    assert again.returncode == 0 and 'nothing to do' in again.stdout
    assert digest(out) == digest(sample_data)


def test_other_seed_other_pictures_same_split(sample_data, tmp_path):
    make_samples(tmp_path / 'b', size=64, seed=1, counts='tiny')
    assert digest(tmp_path / 'b') != digest(sample_data)
    splits = {}
    for root in (sample_data, tmp_path / 'b'):
        for entry in json.loads(
                (root / 'provenance.json').read_text()).values():
            for number in entry['digits']:
                assert splits.setdefault(number,
                                         entry['split']) == entry['split']


def test_existing_folder_is_not_touched(copy, tmp_path):
    before = digest(copy)
    with pytest.raises(UserError, match='--force'):
        make_samples(copy, size=96, counts='tiny')
    with pytest.raises(UserError, match='seed 0'):
        make_samples(copy, size=64, seed=3, counts='tiny')
    assert digest(copy) == before
    assert not make_samples(copy, size=64, counts='tiny')['built']
    (copy / 'coco/annotations/instances_val2017.json').unlink()
    with pytest.raises(UserError, match='incomplete'):
        make_samples(copy, size=64, counts='tiny')
    with pytest.raises(UserError, match='coco samples.*incomplete'):
        check_samples(copy)
    assert make_samples(copy, size=64, counts='tiny', force=True)['built']
    assert digest(copy) == before
    assert not leftovers(tmp_path)


@pytest.mark.parametrize('force', [False, True])
def test_foreign_folder_is_never_touched(tmp_path, force):
    mine = tmp_path / 'thesis'
    mine.mkdir()
    (mine / 'chapter1.tex').write_text('...')
    for _ in range(2):
        before = digest(mine)
        with pytest.raises(UserError, match='thesis'):
            make_samples(mine, size=64, counts='tiny', force=force)
        assert digest(mine) == before
        # a file of that name does not make it ours
        (mine / 'samples.json').write_text('{"name": "other"}')
    with pytest.raises(UserError, match='is a file'):
        make_samples(mine / 'chapter1.tex', force=force)


@pytest.mark.parametrize('where', ['notes.txt', 'coco/notes.txt'])
def test_force_keeps_what_was_added_by_hand(copy, where):
    (copy / where).write_text('mine')
    before = digest(copy)
    with pytest.raises(UserError, match='move them away'):
        make_samples(copy, size=96, counts='tiny', force=True)
    assert digest(copy) == before


def test_empty_folder_and_link_are_filled(tmp_path, sample_data):
    real = tmp_path / 'disk'
    real.mkdir()
    link = tmp_path / 'link'
    link.symlink_to(real)
    make_samples(link, size=64, counts='tiny')
    assert link.is_symlink()
    assert digest(real) == digest(sample_data)


def test_failing_build_leaves_nothing(tmp_path, copy):
    def stop(name, split, done, total):
        if name == 'ade20k':
            raise KeyboardInterrupt

    for target in (tmp_path / 'out', copy):
        before = digest(target) if target.exists() else None
        with pytest.raises(KeyboardInterrupt):
            make_samples(target, size=96, counts='tiny', force=True,
                         progress=stop)
        assert (digest(target) if target.exists() else None) == before
    assert not leftovers(tmp_path)


def test_killed_build_is_cleaned_up_and_never_looks_complete(tmp_path):
    out = tmp_path / 'out'
    process = subprocess.Popen(
        [sys.executable, str(TOOL), '--out', str(out)],
        stdout=subprocess.DEVNULL)
    while not list(tmp_path.glob('.out.building-*/new/imagenet/train/*/*')):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not out.exists() and len(leftovers(tmp_path)) == 1
    with pytest.raises(UserError, match='no sample data'):
        check_samples(out)
    make_samples(out, size=64, counts='tiny')
    check_samples(out)
    assert not leftovers(tmp_path)


def test_running_build_of_another_process_is_left_alone(tmp_path):
    other = tmp_path / '.out.building-abc'
    other.mkdir()
    with open(other / 'owner', 'w') as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        make._remove_leftovers(tmp_path / 'out')
        assert other.exists()
    make._remove_leftovers(tmp_path / 'out')
    assert not other.exists()


@pytest.mark.parametrize('args, words', [
    (('--size', '100'), 'multiple of 32'),
    (('--size', '32'), 'from 64'),
    (('--size', '1024'), 'to 512'),
    (('--seed', '-1'), 'seed'),
    (('--out', '/proc/nowhere'), 'cannot'),
])
def test_bad_arguments_are_one_sentence(tmp_path, args, words):
    done = run('--counts', 'tiny', *args, cwd=tmp_path)
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith('error: ')
    assert words in lines[0]
    assert not list(tmp_path.iterdir())


def test_missing_package_is_named(tmp_path, monkeypatch):
    import importlib.util
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec',
        lambda name, *a: None if name == 'skimage' else find(name, *a))
    with pytest.raises(UserError, match='pip install scikit-image'):
        make_samples(tmp_path / 'out')
    assert not list(tmp_path.iterdir())


def test_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, 'No space left on device')
        yield

    monkeypatch.setattr(make.coco, 'write', full)
    with pytest.raises(UserError, match='no space left'):
        make_samples(tmp_path / 'out', size=64, counts='tiny')
    assert not list(tmp_path.iterdir())
