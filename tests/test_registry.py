"""Classes that build on a host are found, and not imported before."""
import subprocess
import sys

import pytest
from mmengine.registry import METRICS, MODELS

from hpvit_mm.registry import METRICS as OUR_METRICS
from hpvit_mm.registry import MODELS as OUR_MODELS

ON_DEMAND = [(root, name) for root, ours in ((MODELS, OUR_MODELS),
                                             (METRICS, OUR_METRICS))
             for name in ours.on_demand]


@pytest.mark.parametrize('root, name', ON_DEMAND)
def test_found_by_name(root, name):
    found = root.get(f'hpvit_mm.{name}')
    assert found.__name__ == name
    # as mmengine asks where hpvit_mm is the default scope
    ours = root.children['hpvit_mm']
    assert ours.get(name) is ours.get(f'hpvit_mm.{name}') is found


def test_other_names_as_ever():
    assert MODELS.get('hpvit_mm.HPViT').__name__ == 'HPViT'
    assert MODELS.get('hpvit_mm.FastNothing') is None
    with pytest.raises(TypeError, match='must be a str'):
        OUR_MODELS.get(1)


WITHOUT_HOSTS = """
import sys

class Absent:
    def find_spec(name, path, target=None):
        if name in ('mmpretrain', 'mmdet', 'mmseg'):
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent)
import hpvit_mm.engine
from mmengine.registry import METRICS, MODELS
assert MODELS.get('hpvit_mm.HPViT')
assert METRICS.get('hpvit_mm.Nothing') is None
from hpvit_mm.errors import UserError
for root in (METRICS, MODELS):
    for name in root.children['hpvit_mm'].on_demand:
        try:
            root.get(f'hpvit_mm.{name}')
        except UserError as error:
            print(error)
"""


def test_who_classifies_needs_no_other_host():
    done = subprocess.run([sys.executable, '-c', WITHOUT_HOSTS], check=True,
                          capture_output=True, text=True)
    lines = done.stdout.splitlines()
    hosts = dict(Cls='mmpretrain', Det='mmdet')
    assert [line for line in lines if line.startswith('hpvit_mm.Fast')] == [
        f'hpvit_mm.{name} needs {hosts.get(name[4:7], "mmseg")}, which is not '
        'installed; install it, or name another type'
        for name in (*OUR_METRICS.on_demand, *OUR_MODELS.on_demand)]
