"""Checks and workarounds of the installed stack (hpvit_mm.environment)."""
import io
import subprocess
import sys
import warnings

import pytest

from hpvit_mm import environment
from hpvit_mm.errors import UserError


def add_package(site, name, version='1.0'):
    """Make a distribution look installed in the folder ``site``."""
    info = site / f'{name.replace("-", "_")}-{version}.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(
        f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')
    return info


def test_the_module_and_prepare_load_no_library():
    code = ('import sys; from hpvit_mm import environment as e; e.prepare();'
            'e.versions();'
            'print([m for m in ("torch", "torchvision", "mmengine", "numpy")'
            ' if m in sys.modules])')
    out = subprocess.run([sys.executable, '-c', code], capture_output=True,
                         text=True, check=True)
    assert out.stdout.strip() == '[]'


def test_versions_are_those_of_the_modules():
    import mmcv
    import mmengine
    import numpy
    import torch
    found = environment.versions()
    # PyPI's torch 2.13.0 calls itself 2.13.0+cu130
    assert torch.__version__.startswith(found['torch'])
    assert found['numpy'] == numpy.__version__
    assert found['mmengine'] == mmengine.__version__
    assert found['mmcv'] == mmcv.__version__
    assert list(found)[0] == 'python'
    assert all(found[name] for name in ('opencv', 'mmdet', 'mmsegmentation',
                                        'mmpretrain', 'scikit-learn'))


def test_this_environment_has_one_stack():
    assert environment.check_stack() in environment.STACKS


@pytest.mark.parametrize('stack', environment.STACKS)
def test_a_stack_is_recognised_by_any_of_its_packages(tmp_path, stack):
    for name in environment.STACKS[stack]:
        site = tmp_path / name
        site.mkdir()
        add_package(site, name)
        assert environment.check_stack([str(site)]) == stack


def test_two_stacks_in_one_environment_are_refused(tmp_path):
    add_package(tmp_path, 'mmsegmentation', '1.2.2')
    add_package(tmp_path, 'onedl-mmcv', '2.3.6')
    with pytest.raises(UserError) as error:
        environment.check_stack([str(tmp_path)])
    text = str(error.value)
    assert 'mmsegmentation 1.2.2' in text and 'onedl-mmcv 2.3.6' in text
    assert 'setup_env.sh' in text and '\n' not in text


def test_no_stack_is_refused_with_the_command_that_helps(tmp_path):
    with pytest.raises(UserError, match='setup_env.sh'):
        environment.check_stack([str(tmp_path)])


def test_prepare_twice_is_prepare_once():
    environment.prepare()
    filters, finders = list(warnings.filters), list(sys.meta_path)
    environment.prepare()
    assert sorted(map(str, warnings.filters)) == sorted(map(str, filters))
    assert sys.meta_path == finders


def test_the_hosts_import_without_a_word():
    """Also where torchvision's extension does not load beside this torch."""
    code = ('from hpvit_mm import environment; environment.prepare();'
            'import mmpretrain.apis, mmdet.apis, mmseg.apis, torchvision;'
            'from mmengine.utils import is_installed; is_installed("mmdet");'
            'import torch; torchvision.transforms.Resize(4)('
            'torch.zeros(3, 8, 8))')
    out = subprocess.run([sys.executable, '-c', code], capture_output=True,
                         text=True)
    # the onedl forks say that a client library of theirs is missing
    said = [line for line in (out.stdout + out.stderr).splitlines()
            if 'Could not import OneDL' not in line]
    assert (out.returncode, said) == (0, [])


def test_torchvision_ops_are_left_alone_where_its_extension_loads(monkeypatch):
    import torch
    loaded = []
    monkeypatch.setattr(environment, '_torchvision_library', None)
    monkeypatch.setattr(torch.ops, 'load_library', loaded.append)
    environment._define_torchvision_ops()
    assert loaded and environment._torchvision_library is None


def is_shown(message, module):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        environment.prepare()
        warnings.warn_explicit(message, UserWarning, 'file.py', 1, module)
    return bool(caught)


def test_only_the_named_warnings_of_the_named_modules_are_hidden():
    text = 'pkg_resources is deprecated as an API. See https://...'
    assert not is_shown(text, 'mmengine.utils.package_utils')
    assert is_shown(text, 'hpvit_mm.models')
    assert is_shown('another warning', 'mmengine.utils.package_utils')


def test_the_report_names_what_fails_and_goes_on(monkeypatch):
    monkeypatch.setattr(environment, 'COMPONENTS', {
        'absent': (('no-such-distribution', ), 'no_such_module'),
        'pytest': (('pytest', ), 'pytest'),
    })
    out = io.StringIO()
    assert environment.report(out) == ['absent']
    lines = out.getvalue().splitlines()
    assert 'FAILS' in lines[1] and 'no_such_module' in lines[1]
    assert lines[2].split() == ['pytest', pytest.__version__]


def test_mmpretrain_resizes_tables_of_positions():
    """With a SciPy that has no interp2d any more."""
    import torch
    from mmpretrain.models.utils import resize_relative_position_bias_table
    side = torch.arange(7.)
    table = (2 * side[:, None] + side).reshape(49, 1)
    larger = resize_relative_position_bias_table(7, 15, table, 1)
    larger = larger.reshape(15, 15)
    for corner in (0, -1):  # a plane keeps its corners, and its centre
        assert abs(larger[corner, corner] - table[corner]) < 1e-4
    assert abs(larger[7, 7] - table[24]) < 1e-4
    assert (larger.diff(dim=0) > -1e-4).all()
    assert (larger.diff(dim=1) > -1e-4).all()
