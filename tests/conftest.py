"""What all tests share."""
import gc

import pytest

from hpvit_mm import environment

environment.prepare()


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
    from hpvit_mm.datasets import make_samples
    root = tmp_path_factory.mktemp('data') / 'samples'
    make_samples(root, size=64, counts='tiny')
    return root
