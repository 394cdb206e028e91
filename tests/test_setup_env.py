"""tools/setup_env.sh and its steps, without network and without pip."""
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from test_environment import add_package

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / 'tools' / 'setup_env.sh'


def load():
    spec = importlib.util.spec_from_file_location(
        '_setup_env', ROOT / 'tools' / '_setup_env.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


setup_env = load()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ('HPVIT_VENV', 'PYTHON', 'FORCE_CUDA', 'MAX_JOBS', 'CXX',
                 'CUDA_HOME', 'CUDA_PATH', 'VIRTUAL_ENV', 'CONDA_PREFIX'):
        monkeypatch.delenv(name, raising=False)


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


class Silent(setup_env.Screen):
    """Keeps what is said."""

    def __init__(self):
        super().__init__()
        self.tty, self.said = False, []

    def say(self, text):
        self.said.append(text)


# -- requirements.txt is the one home of versions


def test_every_requirement_parses_and_the_stacks_are_pinned():
    pins = setup_env.read_requirements('requirements.txt')
    for name, line in pins.items():
        assert Requirement(line).name.lower() == name
    for name in ('torch', 'torchvision'):
        assert pins[name].startswith(f'{name}==')
    for stack, distributions in setup_env.environment.STACKS.items():
        packages = setup_env.read_requirements(f'requirements-{stack}.txt')
        for name in distributions:
            assert packages[name].startswith(f'{name}==')
        assert not set(packages) & set(pins)


def test_nothing_needs_opencv_with_its_windows():
    pins = setup_env.read_requirements('requirements.txt')
    assert 'opencv-python' not in pins
    assert '<5' in pins['opencv-python-headless']


@pytest.mark.parametrize('torch, torchvision', [
    ('2.11.0', '0.26.0'), ('2.12.1+cu130', '0.27.1'), ('2.13.0', '0.28.0'),
    ('2.5.1', '0.20.1')])
def test_the_torchvision_of_a_torch(torch, torchvision):
    assert setup_env.torchvision_for(torch) == f'torchvision=={torchvision}'


def test_the_pinned_pair_belongs_together():
    pins = setup_env.read_requirements('requirements.txt')
    torch = pins['torch'].split('==')[1]
    assert setup_env.torchvision_for(torch) == pins['torchvision']


def test_the_digest_follows_the_requirements(tmp_path, monkeypatch):
    for name in ('requirements.txt', 'requirements-official.txt',
                 'requirements-onedl.txt', 'setup.py'):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(setup_env, 'ROOT', tmp_path)
    before = setup_env.digest('official')
    assert before == setup_env.digest('official')
    assert before != setup_env.digest('onedl')
    with open(tmp_path / 'requirements.txt', 'a') as file:
        file.write('another\n')
    assert before != setup_env.digest('official')


# -- setup.py


def test_installing_the_package_replaces_nothing(tmp_path):
    project = tmp_path / 'project'
    (project / 'hpvit_mm').mkdir(parents=True)
    (project / 'tests').mkdir()
    shutil.copy(ROOT / 'setup.py', project)
    shutil.copy(ROOT / 'hpvit_mm' / '__init__.py', project / 'hpvit_mm')
    (project / 'tests' / '__init__.py').touch()
    subprocess.run([sys.executable, 'setup.py', '-q', 'egg_info'],
                   cwd=project, check=True, capture_output=True)
    info = project / 'hpvit_mm.egg-info'
    import hpvit_mm
    metadata = (info / 'PKG-INFO').read_text()
    assert f'\nVersion: {hpvit_mm.__version__}\n' in metadata
    python, = (line for line in metadata.splitlines()
               if line.startswith('Requires-Python: '))
    assert set(python.split(': ')[1].split(',')) == {'>=3.10', '<3.13'}
    assert (info / 'top_level.txt').read_text().split() == ['hpvit_mm']
    for extra in ('official', 'onedl', 'samples', 'tests'):
        assert f'\nProvides-Extra: {extra}\n' in metadata
    needs = [Requirement(line.split(': ')[1]) for line in
             metadata.splitlines() if line.startswith('Requires-Dist: ')]
    assert needs and all('extra ==' in str(need.marker) for need in needs)
    assert not any('==' in str(need.specifier) for need in needs)


# -- the choice of the interpreter (shell)


def fake_python(path, version):
    """Answers the question for its version; shows how it is called."""
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
    assert 'Traceback' not in result.stderr
    return lines[0]


def test_a_python_that_is_too_new_is_refused(tmp_path):
    python = fake_python(tmp_path / 'python', '3.13.0')
    said = one_sentence(shell(PYTHON=str(python)), 2)
    assert '3.13.0' in said and '3.11' in said


def test_a_python_that_does_not_run_is_refused(tmp_path):
    said = one_sentence(shell(PYTHON=str(tmp_path / 'none')), 2)
    assert 'does not run' in said


def test_an_unsuitable_python3_is_passed_over(tmp_path):
    fake_python(tmp_path / 'python3', '3.13.0')
    write_program(tmp_path / 'python3.12', '#!/bin/bash\nexit 127\n')
    fake_python(tmp_path / 'python3.11', '3.11.9')
    result = shell('--stack', 'onedl', '--quiet', path=tmp_path,
                   HPVIT_VENV=str(tmp_path / 'v'))
    assert result.stdout == (
        f'called {tmp_path}/python3.11 {ROOT}/tools/_setup_env.py --venv '
        f'{tmp_path}/v --stack onedl --quiet\n')


def test_without_any_suitable_python_it_says_so(tmp_path):
    for name in ('python3', 'python3.10', 'python3.11', 'python3.12'):
        fake_python(tmp_path / name, '3.9.2')
    said = one_sentence(
        shell(path=tmp_path, HPVIT_VENV=str(tmp_path / 'v')), 1)
    assert '3.9.2' in said and 'PYTHON=' in said


@pytest.mark.parametrize('arguments', [
    ('--stack', 'both'), ('--stack', ), ('--stack=', 'x'), ('--speed', )])
def test_unknown_arguments_are_refused(arguments):
    one_sentence(shell(*arguments), 2)


def test_help_works_without_any_python(tmp_path):
    result = shell('--help', path=tmp_path, PYTHON='none')
    assert result.returncode == 0 and '--stack' in result.stdout


# -- what is checked first


def test_a_missing_compiler_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(setup_env.Stop, match='no C.. compiler'):
        setup_env.need_compiler()
    for name in ('c++', 'g++'):
        write_program(tmp_path / name, '#!/bin/sh\n')
    setup_env.need_compiler()
    with pytest.raises(setup_env.Stop, match='header files'):
        setup_env.need_compiler(tmp_path)


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    usage = namedtuple('usage', 'total used free')
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage(9, 9, 5e8))
    with pytest.raises(setup_env.Stop, match='only 0.5 GB are free'):
        setup_env.need_space(tmp_path / 'not' / 'yet', 3)


def test_cuda_ops_need_the_toolkit_of_torch(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(setup_env.Stop, match='has no CUDA'):
        setup_env.need_cuda_toolkit('2.13.0+cpu', None)
    write_program(tmp_path / 'bin' / 'nvcc',
                  '#!/bin/sh\necho "Cuda tools, release 12.4, V12.4.1"\n')
    monkeypatch.setenv('CUDA_HOME', str(tmp_path))
    setup_env.need_cuda_toolkit('2.13.0', '12.8')
    with pytest.raises(setup_env.Stop, match='of CUDA 12.4, and torch'):
        setup_env.need_cuda_toolkit('2.13.0', '13.0')


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
    with pytest.raises(setup_env.Stop, match='mmcv 2.1.0') as error:
        setup_env.choose_stack('onedl', [str(tmp_path)])
    assert error.value.status == 2
    add_package(tmp_path, 'onedl-mmdetection', '3.5.1')
    with pytest.raises(setup_env.UserError, match='overwrite each other'):
        setup_env.choose_stack(None, [str(tmp_path)])


def test_jobs_fit_cores_and_memory(monkeypatch):
    monkeypatch.setattr(setup_env, 'cores', lambda: 16)
    monkeypatch.setattr(setup_env, 'memory', lambda: 4e9)
    assert setup_env.jobs() == '2'
    monkeypatch.setattr(setup_env, 'memory', lambda: 64e9)
    assert setup_env.jobs() == '16'
    monkeypatch.setenv('MAX_JOBS', '3')
    assert setup_env.jobs() == '3'


# -- running pip: progress, log, causes


def test_progress_tells_files_and_time_left():
    clock = [0.]
    progress = setup_env.Progress(lambda: clock[0])
    progress.feed('Collecting mmcv==2.1.0 (from -r x)')
    assert str(progress) == 'Collecting mmcv==2.1.0, 0 s'
    progress.feed('  [1/77] c++ -MMD')
    assert str(progress) == 'building mmcv ops 1/77'
    clock[0] = 99.
    progress.feed('  [34/77] c++ -MMD')
    assert str(progress) == 'building mmcv ops 34/77, about 2 min left'
    clock[0] += 90
    assert str(progress) == 'building mmcv ops 34/77, about 35 s left'
    progress.feed('  [77/77] c++ -MMD')
    assert 'building mmcv' not in str(progress)


def test_progress_off_a_terminal_takes_few_lines(capsys):
    screen = setup_env.Screen()
    screen.tty = False
    with screen.step('official stack'):
        for built in range(78):
            screen.progress(f'{built}/77', built)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ['official stack'] + [f'  {n}/77' for n in
                                          range(10, 78, 10)]


@pytest.mark.parametrize('output, words', [
    ('OSError: [Errno 28] No space left on device', 'disk is full'),
    ('ensurepip is not\navailable.  On Debian', 'apt install python3-venv'),
    ('x.cpp:1: fatal error: Python.h: No such file', 'python3-dev'),
    ('c++: fatal error: Killed signal terminated program cc1plus',
     'MAX_JOBS=1'),
    ('WARNING: Retrying ... NewConnectionError(...)\nERROR: No matching '
     'distribution found for torch==2.13.0', 'no network'),
    ('ERROR: No matching distribution found for torch==2.13.0',
     'no torch==2.13.0'),
    ('RuntimeError: The detected CUDA version (12.4) mismatches the version',
     'CUDA_HOME'),
])
def test_causes_are_told_with_a_remedy(output, words):
    assert words in setup_env.diagnose(output)


def test_a_failed_command_is_one_sentence_and_a_whole_log(tmp_path):
    env = setup_env.Environment(tmp_path, Silent())
    with pytest.raises(setup_env.Stop) as error:
        env.run([sys.executable, '-c',
                 'print("much"); print("No space left on device"); exit(1)'])
    assert 'disk is full' in str(error.value)
    assert str(env.log) in str(error.value)
    assert 'much' in env.log.read_text()


def test_an_unknown_failure_shows_its_last_lines(tmp_path):
    env = setup_env.Environment(tmp_path, Silent())
    env.screen.title = 'libraries'
    with pytest.raises(setup_env.Stop) as error:
        env.run([sys.executable, '-c', 'raise ValueError("odd")'])
    assert '"libraries" failed' in str(error.value)
    assert 'ValueError: odd' in str(error.value)


# -- nothing that is whole is touched, nothing that is broken stays


def install(site, name, version='1.0', finished=True):
    info = add_package(site, name, version)
    (site / f'{name}.py').write_text('x = 1\n')
    rows = [f'{name}.py,,', f'{info.name}/METADATA,,',
            f'__pycache__/{name}.cpython-311.pyc,,']
    if finished:
        (info / 'INSTALLER').write_text('pip\n')
        rows.append(f'{info.name}/INSTALLER,,')
    (info / 'RECORD').write_text('\n'.join(rows))
    return info


def test_only_incomplete_packages_are_forgotten(tmp_path):
    whole = install(tmp_path, 'whole')
    killed = install(tmp_path, 'killed', finished=False)
    gutted = install(tmp_path, 'gutted')
    (tmp_path / 'gutted.py').unlink()
    condas = add_package(tmp_path, 'condas')
    (condas / 'INSTALLER').write_text('conda\n')
    (tmp_path / '~umpy').mkdir()
    setup_env.remove_broken_packages(tmp_path)
    assert whole.exists() and condas.exists()
    assert not killed.exists() and not gutted.exists()
    assert not (tmp_path / '~umpy').exists()


def test_a_folder_of_something_else_is_never_touched(tmp_path):
    (tmp_path / 'thesis.tex').write_text('years of work')
    env = setup_env.Environment(tmp_path, Silent())
    with pytest.raises(setup_env.Stop) as error:
        env.make(python_given=False)
    assert error.value.status == 2 and 'remove' not in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ['thesis.tex']


def test_a_half_made_environment_is_made_again(tmp_path, monkeypatch):
    env = setup_env.Environment(tmp_path / 'v', Silent())
    env.stamp = dict(state='started', ours=True)
    (tmp_path / 'v' / 'bin').mkdir()
    (tmp_path / 'v' / 'bin' / 'python').symlink_to('/nonexistent')
    made = []

    def make(command, env_=None):
        made.append(command)
        assert [p.name for p in env.folder.iterdir()] == [setup_env.STAMP]

    facts = iter([None] + 2 * [dict(version=sys.version_info[:2], pip=True,
                                    site=str(tmp_path), path=[], include='')])
    monkeypatch.setattr(env, 'run', make)
    monkeypatch.setattr(env, 'facts', lambda: next(facts))
    env.make(python_given=False)
    assert made == [[sys.executable, '-m', 'venv', env.folder]]


def test_an_environment_of_the_users_is_never_cleared(tmp_path):
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'pyvenv.cfg').touch()
    env = setup_env.Environment(tmp_path, Silent())
    env.stamp = dict(state='complete', stack='official')
    with pytest.raises(setup_env.Stop, match='not a working environment'):
        env.make(python_given=False)
    assert (tmp_path / 'bin').exists() and (tmp_path / 'pyvenv.cfg').exists()


class Recorder:
    """An Environment whose pip is only written down."""

    def __init__(self, folder, torch='2.13.0+cpu'):
        self.folder, self.screen = folder, Silent()
        self.python, self.log = folder / 'bin' / 'python', folder / 'log'
        self.torch, self.calls = torch, []
        if torch:
            add_package(folder, 'torch', torch)

    def ask(self, code):
        if 'import json, torch' in code:
            return self.torch and dict(version=self.torch, gpu=False,
                                       cuda=None)
        return None

    def pip(self, *arguments, env=None):
        self.calls.append([str(a) for a in arguments])
        self.variables = env


def steps(env, stack='official'):
    facts = dict(version=[3, 11], pip=True, site=str(env.folder),
                 path=[str(env.folder)], include='/usr/include')
    setup = setup_env.Setup(env, stack, facts)
    setup.cuda = False
    return setup


def test_a_torch_that_is_there_is_kept(tmp_path):
    env = Recorder(tmp_path, torch='2.12.1+cu130')
    setup = steps(env)
    setup.torchvision(setup.torch()['version'])
    setup.libraries()
    constraints = ['-c', str(tmp_path / 'setup_env.constraints')]
    assert env.calls[0] == ['install', '--no-deps', *constraints,
                            'torchvision==0.27.1']
    assert env.calls[1][:3] == ['install', *constraints]
    assert not any(a.startswith('torch') for a in env.calls[1])
    assert (tmp_path / 'setup_env.constraints').read_text() == (
        'torch==2.12.1+cu130\n')


def test_a_torch_that_does_not_import_is_not_replaced(tmp_path):
    env = Recorder(tmp_path)
    env.torch = None
    with pytest.raises(setup_env.Stop, match='cannot be imported'):
        steps(env).torch()
    assert env.calls == []


def test_an_opencv_that_is_there_is_kept(tmp_path):
    env = Recorder(tmp_path)
    add_package(tmp_path, 'opencv-python', '4.12.0.88')
    steps(env).libraries()
    assert not any('opencv' in a for a in env.calls[0])


@pytest.mark.parametrize('stack', setup_env.environment.STACKS)
def test_mmcv_is_built_again_once_where_its_ops_do_not_load(
        tmp_path, monkeypatch, stack):
    env = Recorder(tmp_path)
    setup = steps(env, stack)
    works = iter([False, True])
    monkeypatch.setattr(setup, 'mmcv_works', lambda: next(works))
    monkeypatch.setattr(setup_env, 'need_compiler', lambda include: None)
    setup.stack_packages()
    first, second = env.calls
    assert '--no-build-isolation' in first and '--no-deps' in first
    assert {'--force-reinstall', '--no-cache-dir', '--no-deps'} < set(second)
    assert second[-1] == setup.packages[setup.mmcv]
    assert env.variables['CFLAGS'].endswith('-g0')
    works = iter([False, False])
    with pytest.raises(setup_env.Stop, match='cannot be imported'):
        setup.stack_packages()


# -- a second run does nothing


def arguments(folder, stack=None):
    return namedtuple('args', 'venv stack python_given quiet')(
        str(folder), stack, False, False)


@pytest.fixture
def complete(tmp_path, monkeypatch):
    """A folder that says a set-up of the official stack ended well."""
    folder = tmp_path / 'v'
    setup_env.Environment(folder, Silent()).stamp = dict(
        state='complete', stack='official',
        digest=setup_env.digest('official'), python=[3, 11])
    monkeypatch.setattr(setup_env, 'verify', lambda env, quiet: True)

    def make(self, python_given):
        raise setup_env.Stop('asked')

    monkeypatch.setattr(setup_env.Environment, 'make', make)
    return folder


def test_a_complete_environment_is_only_verified(complete):
    setup_env.run(arguments(complete))
    setup_env.run(arguments(complete, 'official'))


@pytest.mark.parametrize('change', [
    dict(state='started'), dict(digest='of older requirements')])
def test_an_incomplete_or_older_one_is_worked_on(complete, change):
    env = setup_env.Environment(complete, Silent())
    env.stamp = dict(env.stamp, **change)
    with pytest.raises(setup_env.Stop, match='asked'):
        setup_env.run(arguments(complete))


def test_one_that_fails_to_import_is_worked_on(complete, monkeypatch):
    monkeypatch.setattr(setup_env, 'verify', lambda env, quiet: False)
    with pytest.raises(setup_env.Stop, match='asked'):
        setup_env.run(arguments(complete))


def test_a_spoilt_stamp_counts_as_none(tmp_path):
    (tmp_path / setup_env.STAMP).write_text('{"state": "comp')
    assert setup_env.Environment(tmp_path, Silent()).stamp == {}


def test_two_set_ups_take_turns(tmp_path):
    first, second = (setup_env.Environment(tmp_path / 'v', Silent())
                     for _ in range(2))
    order = []

    def enter():
        with setup_env.lock(second):
            order.append('second')

    thread = threading.Thread(target=enter)
    with setup_env.lock(first):
        thread.start()
        time.sleep(0.3)
        order.append('first')
    thread.join(5)
    assert order == ['first', 'second']
    assert 'waiting' in second.screen.said[0]


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
    write_program(tools / 'setup_env.sh', 'exit 2\n')
    result = subprocess.run(['bash', str(tools / 'run_tests.sh')],
                            capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, '')


def test_the_ci_runs_the_command_of_the_readme():
    command = 'bash tools/run_tests.sh'
    assert command in (ROOT / '.ci' / 'run').read_text().splitlines()
    assert command in (ROOT / 'README.md').read_text()
