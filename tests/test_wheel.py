"""The wheel has the configs and tools, and works without the checkout."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHILD = "_base_ = 'hpvit_mm::imagenet/hpvit-tiny-avg-mae_8xb128-100e_in1k.py'"
SCRIPT = '''
import runpy
import sys
from pathlib import Path
import hpvit_mm.registry
from hpvit_mm import environment
environment.prepare()
from mmengine.config import Config
from mmpretrain import ModelHub, get_model

print(hpvit_mm.__file__)
print(Config.fromfile('child.py').model.backbone.type)
mim = Path(hpvit_mm.__file__).parent / '.mim'
ModelHub.register_model_index(mim / 'model-index.yml', mim)
model = get_model('hpvit-tiny-avg-mae_8xb128-100e_in1k',
                  backbone=dict(init_cfg=None))
print(model.backbone.embed_dims)
sys.argv[1:] = ['child.py']
runpy.run_path(str(mim / 'tools/analysis/get_flops.py'),
               run_name='__main__')
'''


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """The folder in which the wheel is installed, and nothing else."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'  # where pip may leave build products
    for name in ('hpvit_mm', 'configs', 'tools'):
        shutil.copytree(ROOT / name, source / name, symlinks=True)
    for name in ('setup.py', 'README.md', 'model-index.yml'):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, '-m', 'pip']
    subprocess.run([*pip, 'wheel', '--quiet', '--no-build-isolation',
                    '--no-deps', '--wheel-dir', folder, source], check=True)
    wheel, = folder.glob('*.whl')
    subprocess.run([*pip, 'install', '--quiet', '--no-deps', '--target',
                    folder / 'site', wheel], check=True)
    return folder / 'site'


def test_from_an_empty_folder(installed, tmp_path):
    (tmp_path / 'child.py').write_text(CHILD)
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', SCRIPT], text=True,
        cwd=tmp_path, env=dict(os.environ, PYTHONPATH=str(installed)),
        stdout=subprocess.PIPE, check=True)
    lines = done.stdout.splitlines()
    assert lines[:2] == [str(installed / 'hpvit_mm/__init__.py'),
                         'hpvit_mm.HPViT']
    printed = lines[lines.index('192') + 1:]
    assert any(line.startswith('head ') for line in printed), printed
