"""Building: same bytes, never over anything, never half."""
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sample_data import make, make_samples

from hpvit_mm.errors import UserError

TOOL = Path(__file__).parents[2] / 'tools/make_sample_data.py'
TINY = dict(size=64, counts='tiny')


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


@pytest.fixture
def copy(sample_data, tmp_path):
    """A private copy of the samples."""
    return Path(shutil.copytree(sample_data, tmp_path / 'samples'))


@pytest.fixture
def quick(monkeypatch):
    """Builds of one set, for what does not depend on the others."""
    monkeypatch.setattr(make, 'SETS', dict(coco=make.SETS['coco']))


def test_same_size_same_bytes(sample_data, tmp_path):
    random.seed(99)
    np.random.seed(99)
    out = tmp_path / 'new' / 'samples'
    done = run('--out', out, '--size', 64, '--counts', 'tiny')
    assert done.returncode == 0, done.stderr
    assert digest(out) == digest(sample_data)
    for word in ('imagenet', 'coco', 'ade20k', 'cityscapes', ' s\n'):
        assert word in done.stdout
    assert [path.name for path in out.parent.iterdir()] == ['samples']
    again = run('--out', out, '--size', 64, '--counts', 'tiny')
    assert again.returncode == 0 and 'nothing to do' in again.stdout


def test_what_is_there_is_replaced_with_force_only(tmp_path, quick):
    out = tmp_path / 'samples'
    assert make_samples(out, **TINY)['built']
    before = digest(out)
    with pytest.raises(UserError, match='size 64.*--force'):
        make_samples(out, size=96, counts='tiny')
    assert digest(out) == before
    assert not make_samples(out, **TINY)['built']
    (out / 'coco/annotations/instances_val2017.json').unlink()
    assert make_samples(out, **TINY, force=True)['built']
    assert digest(out) == before


@pytest.mark.parametrize('force', [False, True])
def test_another_folder_is_never_touched(tmp_path, force):
    mine = tmp_path / 'thesis'
    mine.mkdir()
    (mine / 'chapter1.tex').write_text('...')
    for _ in range(2):
        before = digest(mine)
        with pytest.raises(UserError, match='thesis'):
            make_samples(mine, **TINY, force=force)
        assert digest(mine) == before
        # a file of that name does not make it ours
        (mine / 'samples.json').write_text('{"name": "other"}')
    with pytest.raises(UserError, match='something other'):
        make_samples(mine / 'chapter1.tex', force=force)


def test_a_link_stays_a_link(tmp_path, quick):
    real, link = tmp_path / 'disk', tmp_path / 'link'
    real.mkdir()
    link.symlink_to(real)
    make_samples(link, **TINY)
    assert link.is_symlink() and (real / 'samples.json').exists()


def test_a_failing_build_leaves_nothing(tmp_path, copy, monkeypatch, quick):
    def stop(name, split, done, total):
        raise KeyboardInterrupt

    def full(*args, **kwargs):
        raise OSError(28, 'No space left on device')
        yield

    for target in (tmp_path / 'out', copy):
        before = digest(target) if target.exists() else None
        with pytest.raises(KeyboardInterrupt):
            make_samples(target, **TINY, force=True, progress=stop)
        assert (digest(target) if target.exists() else None) == before
    monkeypatch.setattr(make.coco, 'write', full)
    with pytest.raises(UserError, match='no space left'):
        make_samples(tmp_path / 'out', **TINY)
    assert [path.name for path in tmp_path.iterdir()] == ['samples']


def test_a_killed_build_never_looks_complete(tmp_path, quick):
    out = tmp_path / 'out'
    process = subprocess.Popen(
        [sys.executable, str(TOOL), '--out', str(out)],
        stdout=subprocess.DEVNULL)
    while not list(tmp_path.glob('.out.building/imagenet/train/*/*')):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    make_samples(out, **TINY)
    assert [path.name for path in tmp_path.iterdir()] == ['out']


@pytest.mark.parametrize('args, words', [
    (dict(size=100), 'multiple of 32'), (dict(size=32), 'from 64'),
    (dict(size=1024), 'to 512')])
def test_bad_values(tmp_path, args, words):
    with pytest.raises(UserError, match=words):
        make_samples(tmp_path / 'out', **args)
    assert not list(tmp_path.iterdir())


def test_errors_are_one_sentence(tmp_path):
    done = run('--counts', 'tiny', '--out', '/proc/nowhere', cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith('error: cannot write /proc/nowhere')
    assert done.stderr.count('\n') == 1


def test_missing_package_is_named(tmp_path, monkeypatch):
    import importlib.util
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec',
        lambda name, *a: None if name == 'skimage' else find(name, *a))
    with pytest.raises(UserError, match='pip install scikit-image'):
        make_samples(tmp_path / 'out')
