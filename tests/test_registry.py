"""The package needs none of the host libraries itself."""
import subprocess
import sys

WITHOUT_HOSTS = """
import sys

class Absent:
    def find_spec(name, path, target=None):
        if name in ('mmpretrain', 'mmdet', 'mmseg'):
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent)
import hpvit_mm.engine
from mmengine.registry import MODELS, TRANSFORMS
assert MODELS.get('hpvit_mm.HPViT').__name__ == 'HPViT'
assert MODELS.get('hpvit_mm.Nothing') is None
TRANSFORMS.build(dict(type='hpvit_mm.MapLabels', mapping={11: 255}))
"""


def test_models_and_engine_without_hosts():
    subprocess.run([sys.executable, '-c', WITHOUT_HOSTS], check=True)
