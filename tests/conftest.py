"""Fixtures and order of all tests."""
import gc
import os
import sys
from pathlib import Path

import pytest

from hpvit_mm import environment

# A thread each: processes that have as many threads as there are cores wait
# for one another, and several threads add up in another order.
for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ.setdefault(name, '1')
environment.prepare()
# Behind all others, because tools/test.py would hide Python's package.
sys.path.append(str(Path(__file__).parents[1] / 'tools'))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Let each process begin with long tests, and end with short ones.

    Before them come those that fork: torch's CUDA builds cannot compute
    gradients in a fork of a process that has done so itself.
    """
    workers = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', 1))

    def rank(item):
        if {'experiment', 'forks'} & set(item.fixturenames):
            return 0
        return 1 if item.get_closest_marker('slow') else 2

    kinds = [[one for one in items if rank(one) == kind] for kind in range(3)]
    items[:] = [one for part in range(workers) for kind in kinds for one in
                kind[part * len(kind) // workers:
                     (part + 1) * len(kind) // workers]]


def pytest_collection_finish():
    """Look no more at what imports have made, when garbage is collected.

    mmengine collects it for every data set that is built.
    """
    gc.freeze()


@pytest.fixture(scope='session')
def sample_data(tmp_path_factory):
    """Folder of the four sample data sets, about 20 images per split.

    Read only: all tests share it. ``samples.json`` in it tells the classes
    and the counts.
    """
    from sample_data import make_samples
    root = tmp_path_factory.mktemp('data') / 'samples'
    make_samples(root, size=64, counts='tiny')
    return root
