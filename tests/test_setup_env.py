"""tools/setup_env.sh and its steps, without network and without pip."""
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from test_environment import add_package

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / 'tools' / 'setup_env.sh'
sys.path.insert(0, str(ROOT / 'tools/setup'))
import setup_env  # noqa: E402


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ('HPVIT_VENV', 'PYTHON', 'FORCE_CUDA', 'MAX_JOBS', 'CXX'):
        monkeypatch.delenv(name, raising=False)


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# -- requirements and setup.py


def test_the_requirements_are_consistent():
    pins = setup_env.read_requirements('requirements.txt')
    for name, line in pins.items():
        assert Requirement(line).name.lower() == name
    torch = pins['torch'].split('==')[1]
    assert setup_env.torchvision_for(torch) == pins['torchvision']
    for stack, distributions in setup_env.environment.STACKS.items():
        packages = setup_env.read_requirements(f'requirements-{stack}.txt')
        for name in distributions:
            assert packages[name].startswith(f'{name}==')
        assert not set(packages) & set(pins)
    assert 'opencv-python' not in pins  # needs libraries of an X server
    assert setup_env.digest('official') != setup_env.digest('onedl')


@pytest.mark.parametrize('torch, torchvision', [
    ('2.11.0', '0.26.0'), ('2.12.1+cu130', '0.27.1'), ('2.5.1', '0.20.1')])
def test_the_torchvision_of_a_torch(torch, torchvision):
    assert setup_env.torchvision_for(torch) == f'torchvision=={torchvision}'


def test_installing_the_package_replaces_nothing(tmp_path):
    (tmp_path / 'hpvit_mm').mkdir()
    shutil.copy(ROOT / 'setup.py', tmp_path)
    shutil.copy(ROOT / 'hpvit_mm' / '__init__.py', tmp_path / 'hpvit_mm')
    subprocess.run([sys.executable, 'setup.py', '-q', 'egg_info'],
                   cwd=tmp_path, check=True, capture_output=True)
    metadata = (tmp_path / 'hpvit_mm.egg-info/PKG-INFO').read_text()
    needs = [Requirement(line.split(': ')[1]) for line in
             metadata.splitlines() if line.startswith('Requires-Dist: ')]
    assert needs and all('extra ==' in str(need.marker) for need in needs)


# -- the choice of the interpreter


def fake_python(path, version):
    """Answers the question for its version; prints how it is called."""
    return write_program(path, f'''#!/bin/bash
if [[ "$1" == -c ]]; then echo {version}; else echo "called $0 $@"; fi
''')


def shell(*arguments, path=None, **variables):
    env = dict(os.environ, **variables)
    if path is not None:
        env['PATH'] = f'{path}:/usr/bin:/bin'
    return subprocess.run(['/bin/bash', str(SCRIPT), *arguments], env=env,
                          capture_output=True, text=True)


def one_sentence(result, status):
    assert result.returncode == status, result
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith('error: ')
    return lines[0]


def test_an_unsuitable_python_is_refused(tmp_path):
    python = fake_python(tmp_path / 'python', '3.13.0')
    assert '3.13.0' in one_sentence(shell(PYTHON=str(python)), 2)
    assert 'does not run' in one_sentence(
        shell(PYTHON=str(tmp_path / 'none')), 2)
    for name in ('python3', 'python3.10', 'python3.11', 'python3.12'):
        fake_python(tmp_path / name, '3.9.2')
    said = one_sentence(
        shell(path=tmp_path, HPVIT_VENV=str(tmp_path / 'v')), 1)
    assert '3.9.2' in said and 'PYTHON=' in said


def test_an_unsuitable_python3_is_passed_over(tmp_path):
    fake_python(tmp_path / 'python3', '3.13.0')
    write_program(tmp_path / 'python3.12', '#!/bin/bash\nexit 127\n')
    fake_python(tmp_path / 'python3.11', '3.11.9')
    result = shell('--stack', 'onedl', '--quiet', path=tmp_path,
                   HPVIT_VENV=str(tmp_path / 'v'))
    assert result.stdout == (
        f'called {tmp_path}/python3.11 {ROOT}/tools/setup/setup_env.py --venv '
        f'{tmp_path}/v --stack onedl --quiet\n')


def test_arguments():
    for wrong in (('--stack', 'both'), ('--stack', ), ('--stack=', 'x'),
                  ('--speed', )):
        one_sentence(shell(*wrong), 2)
    assert '--stack' in shell('--help', PYTHON='none').stdout


# -- running pip


@pytest.mark.parametrize('output, words', [
    ('OSError: [Errno 28] No space left on device', 'disk is full'),
    ('ensurepip is not\navailable.  On Debian', 'apt install python3-venv'),
    ('x.cpp:1: fatal error: Python.h: No such file', 'python3-dev'),
    ('c++: fatal error: Killed signal terminated program', 'MAX_JOBS=1'),
    ('NewConnectionError(...)\nERROR: No matching distribution found for '
     'torch==2.13.0', 'no network'),
    ('ERROR: No matching distribution found for torch==2.13.0', 'PYTHON'),
    ('RuntimeError: The detected CUDA version (12.4) mismatches the version',
     'CUDA_HOME'),
    ('ValueError: odd', 'ValueError: odd')])
def test_causes_of_failures(tmp_path, capsys, output, words):
    env = setup_env.Environment(tmp_path)
    with pytest.raises(setup_env.Stop) as error:
        env.run('libraries', sys.executable, '-c',
                f'print({output!r}); exit(1)')
    assert words in str(error.value) and str(env.log) in str(error.value)
    assert output in env.log.read_text()


def test_progress_of_the_build():
    assert setup_env.progress('Collecting mmcv', 12) == '12 s'
    text = setup_env.progress('x\n  [1/77] c++ -M\n  [34/77] c++ -M\n', 100)
    assert text == 'mmcv ops: 34 of 77 files, about 2 min left'


# -- what is there: kept where it is whole, repaired where it is not


@pytest.mark.parametrize('installed, wanted, chosen', [
    ((), None, 'official'), ((), 'onedl', 'onedl'),
    (('onedl-mmengine', ), None, 'onedl'),
    (('onedl-mmengine', ), 'onedl', 'onedl'), (('mmdet', ), None, 'official')])
def test_an_environment_keeps_its_stack(tmp_path, installed, wanted, chosen):
    for name in installed:
        add_package(tmp_path, name)
    assert setup_env.choose_stack(wanted, [str(tmp_path)]) == chosen


def test_stacks_are_never_mixed(tmp_path):
    add_package(tmp_path, 'mmcv', '2.1.0')
    with pytest.raises(setup_env.Stop, match='cannot be mixed') as error:
        setup_env.choose_stack('onedl', [str(tmp_path)])
    assert error.value.status == 2
    add_package(tmp_path, 'onedl-mmdetection', '3.5.1')
    with pytest.raises(setup_env.UserError, match='overwrite each other'):
        setup_env.choose_stack(None, [str(tmp_path)])


def test_only_incomplete_packages_are_forgotten(tmp_path):
    def install(name, finished=True):
        info = add_package(tmp_path, name)
        (tmp_path / f'{name}.py').touch()
        rows = [f'{name}.py,,', f'__pycache__/{name}.cpython-311.pyc,,']
        if finished:
            (info / 'INSTALLER').write_text('pip\n')
            rows.append(f'{info.name}/INSTALLER,,')
        (info / 'RECORD').write_text('\n'.join(rows))
        return info

    whole, killed = install('whole'), install('killed', finished=False)
    gutted = install('gutted')
    (tmp_path / 'gutted.py').unlink()
    condas = add_package(tmp_path, 'condas')
    (condas / 'INSTALLER').write_text('conda\n')
    setup_env.remove_broken_packages(tmp_path)
    assert whole.exists() and condas.exists()
    assert not killed.exists() and not gutted.exists()


def test_a_folder_of_the_users_is_never_cleared(tmp_path):
    (tmp_path / 'thesis.tex').write_text('years of work')
    env = setup_env.Environment(tmp_path)
    for record in (None, dict(state='complete', stack='official')):
        if record:  # an environment of the user's that was completed once
            env.record = record
        with pytest.raises(setup_env.Stop, match='not a working') as error:
            setup_env.make_venv(env, python_given=False)
        assert error.value.status == 2
        assert (tmp_path / 'thesis.tex').exists()


def test_a_half_made_environment_is_made_again(tmp_path, monkeypatch):
    env = setup_env.Environment(tmp_path / 'v')
    env.record = dict(ours=True)
    (env.folder / 'bin').mkdir()
    env.python.symlink_to('/nonexistent')
    made = []
    facts = iter([None, dict(version=sys.version_info[:2], path=[],
                             site=str(tmp_path)), 1])
    monkeypatch.setattr(env, 'run', lambda title, *command: made.append(
        (command, [p.name for p in env.folder.iterdir()])))
    monkeypatch.setattr(env, 'ask', lambda code: next(facts))
    setup_env.make_venv(env, python_given=False)
    assert made == [((sys.executable, '-m', 'venv', env.folder),
                     [setup_env.RECORD])]


class Recorder(setup_env.Environment):
    """Its pip only notes its arguments."""

    def __init__(self, folder, works=(True, ), **torch):
        super().__init__(folder)
        self.torch = dict(dict(version='2.13.0+cpu', gpu=False, cuda=None),
                          **torch) if torch is not None else None
        self.works, self.calls, self.variables = iter(works), [], {}

    def ask(self, code):
        if 'mmcv' in code:
            return 1 if next(self.works) else None
        return self.torch if 'import torch;' in code else None

    def pip(self, title, *arguments, **variables):
        self.calls.append([str(one) for one in arguments])
        self.variables.update(variables)


def install(env, stack='official'):
    setup_env.install(env, stack, [str(env.folder)])


def test_a_torch_that_is_there_is_kept(tmp_path):
    add_package(tmp_path, 'torch', '2.12.1')
    add_package(tmp_path, 'opencv-python', '4.12.0.88')
    env = Recorder(tmp_path, version='2.12.1+cu130')
    install(env)
    constraints = ['-c', str(tmp_path / 'setup_env.constraints')]
    assert env.calls[0] == ['--no-deps', *constraints, 'torchvision==0.27.1']
    assert env.calls[1][:2] == constraints
    assert not any(a.startswith(('torch', 'opencv')) for a in env.calls[1])
    assert (tmp_path / 'setup_env.constraints').read_text() == (
        'torch==2.12.1\n')
    env = Recorder(tmp_path)
    env.torch = None  # it is there and cannot be imported
    with pytest.raises(setup_env.Stop, match='never replaced'):
        install(env)
    assert env.calls == []


@pytest.mark.parametrize('stack', setup_env.environment.STACKS)
def test_mmcv_is_built_again_where_its_ops_do_not_load(tmp_path, stack):
    env = Recorder(tmp_path, works=[False, True])
    install(env, stack)
    first, second = env.calls[3:5]
    assert '--no-build-isolation' in first and '--no-deps' in first
    assert {'--force-reinstall', '--no-cache-dir', '--no-deps'} < set(second)
    assert 'mmcv==' in second[-1]
    # setuptools drops Python's own flags where CFLAGS is set
    assert '-O2' in env.variables['CFLAGS'].split()
    with pytest.raises(setup_env.Stop, match='cannot be imported'):
        install(Recorder(tmp_path, works=[False, False]), stack)


def test_cuda_ops(tmp_path, monkeypatch, capsys):
    """On a login node they must be asked for, and the user is told."""
    def ops(**torch):
        env = Recorder(tmp_path, works=[True, True], **torch)
        install(env)
        return env.variables['FORCE_CUDA'], capsys.readouterr().out

    assert ops() == ('0', '')
    built, said = ops(cuda='13.0')
    assert built == '0' and said.count('FORCE_CUDA=1') == 2
    assert ops(cuda='13.0', gpu=True)[0] == '1'
    monkeypatch.setenv('FORCE_CUDA', '0')
    assert ops(cuda='13.0', gpu=True) == ('0', '')
    monkeypatch.setenv('FORCE_CUDA', '1')
    assert ops(cuda='13.0') == ('1', '')
    with pytest.raises(setup_env.Stop, match='has no CUDA'):
        ops()


def test_a_missing_compiler_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(setup_env.Stop, match='no C.. compiler'):
        install(Recorder(tmp_path))


# -- a second run does nothing


def test_a_complete_environment_is_only_verified(tmp_path, monkeypatch):
    env = setup_env.Environment(tmp_path / 'v')
    complete = dict(state='complete', stack='official', python=[3, 11],
                    digest=setup_env.digest('official'))
    works = True

    def make(env, python_given):
        raise setup_env.Stop('asked')

    monkeypatch.setattr(setup_env, 'verify', lambda env, quiet: works)
    monkeypatch.setattr(setup_env, 'make_venv', make)
    env.record = complete
    for wanted in (None, 'official'):
        setup_env.set_up(env, wanted, False, True)
    for record in (dict(complete, state='started'), {},
                   dict(complete, digest='of older requirements')):
        env.record = record
        with pytest.raises(setup_env.Stop, match='asked'):
            setup_env.set_up(env, None, False, True)
    env.record, works = complete, False
    with pytest.raises(setup_env.Stop, match='asked'):
        setup_env.set_up(env, None, False, True)


def test_a_quiet_run_imports_nothing_unless_packages_changed(
        tmp_path, monkeypatch):
    env = setup_env.Environment(tmp_path / 'v')
    packages, verified = ['a==1'], []
    monkeypatch.setattr(env, 'packages', lambda: packages)
    monkeypatch.setattr(setup_env, 'verify',
                        lambda env, quiet: verified.append(quiet) or True)
    env.record = dict(state='complete', stack='official', python=[3, 11],
                      digest=setup_env.digest('official'))
    for packages, quiet, times in ((packages, True, 1), (packages, True, 1),
                                   (packages, False, 2), (['a==2'], True, 3),
                                   (['a==2'], True, 3), (None, True, 4)):
        setup_env.set_up(env, None, False, quiet)
        assert len(verified) == times


def test_what_is_installed_is_told(tmp_path):
    env = setup_env.Environment(tmp_path)
    env.python = sys.executable
    assert any(one.startswith('torch==') for one in env.packages())


# -- tools/run_tests.sh


def test_run_tests_passes_its_arguments_on(tmp_path):
    tools = tmp_path / 'tools'
    tools.mkdir()
    shutil.copy(ROOT / 'tools' / 'run_tests.sh', tools)
    write_program(tools / 'setup_env.sh', 'printf "set-up %s\\n" "$*"\n')
    write_program(tmp_path / '.venv' / 'bin' / 'python',
                  '#!/bin/bash\nprintf "%s|" "$PWD" "$@"\nexit 5\n')
    result = subprocess.run(
        ['bash', str(tools / 'run_tests.sh'), '--stack', 'onedl', '-m',
         'not slow', '-x'], capture_output=True, text=True, cwd='/')
    assert result.returncode == 5
    assert result.stdout.splitlines() == [
        'set-up --quiet --stack onedl',
        f'{tmp_path}|-m|pytest|-n|auto|--maxprocesses|4|--dist|worksteal|'
        '-m|not slow|-x|']
