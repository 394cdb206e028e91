"""The tools on tiny experiments."""
import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_experiments
from mmengine.logging import MMLogger
from mmengine.visualization import Visualizer
from tiny_experiments import ROOT, folder_of_data, newest

BOXES = '''
val_evaluator.update(metric='bbox')
test_evaluator = val_evaluator
model['roi_head'].update(mask_roi_extractor=None, mask_head=None)
'''


@pytest.fixture
def write_config(tmp_path, sample_data):
    """Writes a tiny experiment; returns the path of its config.

    Its work dir is ``work`` in the test's own folder.
    """

    def write(kind: str, more: str = '', data: Path = None) -> str:
        path = tmp_path / f'{kind}.py'
        tiny_experiments.write_config(
            path, kind, data or folder_of_data(kind, sample_data),
            tmp_path / 'work', more)
        return str(path)

    return write


def main_of(name: str):
    """Return the ``main`` of a tool, which begins with a new log.

    Loggers of other tests write to what pytest has closed, and visualizers
    into the folders of other runs.
    """
    MMLogger._instance_dict.clear()
    visualizers = [Visualizer]
    for one in visualizers:
        one._instance_dict.clear()
        visualizers += one.__subclasses__()
    spec = importlib.util.spec_from_file_location(
        f'tools_{Path(name).stem}', ROOT / 'tools' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture
def tool(capsys):
    """Calls a tool in this process; returns its status and its stderr."""

    def call(name: str, *argv):
        main = main_of(name)
        capsys.readouterr()
        try:
            status = main([str(one) for one in argv])
        except SystemExit as end:  # argparse
            status = end.code
        return status, capsys.readouterr().err

    return call


@pytest.fixture
def inside(capfd, monkeypatch, tmp_path):
    """Calls a tool in this process, in the test's own folder.

    Returns what it prints. A process of its own, as ``run`` starts one, takes
    five seconds more.
    """
    monkeypatch.chdir(tmp_path)

    def call(name: str, *argv, status: int = 0):
        main = main_of(name.removesuffix('.py'))
        capfd.readouterr()
        ended = main([str(one) for one in argv])
        printed = capfd.readouterr()
        log = printed.out + printed.err
        assert ended == status, log[-3000:]
        return log

    return call


@pytest.fixture
def forks(tmp_path):
    """Calls a tool in two forks of this process, as torchrun starts it.

    Returns what they print. Forks have all imports done.
    """
    from hpvit_mm.cli import finish
    path = tmp_path / 'forks.txt'

    def child(name: str, argv: list, rank: int, port: int) -> None:
        try:
            stream = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(stream, 1), os.dup2(stream, 2)
            sys.stdout = os.fdopen(1, 'w', buffering=1)
            sys.stderr = os.fdopen(2, 'w', buffering=1)
            os.chdir(tmp_path)
            os.environ.update(
                RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2',
                MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
            finish(lambda: main_of(name)([
                *map(str, argv), '--launcher', 'pytorch']))
        except SystemExit as end:
            os._exit(end.code or 0)
        finally:
            os._exit(99)

    def call(name: str, *argv) -> str:
        with socket.socket() as one:
            one.bind(('127.0.0.1', 0))
            port = one.getsockname()[1]
        pids = []
        for rank in range(2):
            pids.append(os.fork())
            if not pids[-1]:
                child(name, argv, rank, port)
        statuses = [os.waitpid(pid, 0)[1] for pid in pids]
        assert not any(statuses), path.read_text()[-3000:]
        return path.read_text()

    return call


@pytest.fixture(scope='session')
def trained(sample_data, tmp_path_factory):
    """Trains a tiny experiment, once for all tests of this process.

    Returns the paths of its config and of its checkpoint. The detector has
    no masks, which mmdet cannot merge in test-time augmentation.
    """
    done = {}

    def train(kind: str):
        if kind not in done:
            folder = tmp_path_factory.mktemp(kind)
            config = folder / f'{kind}.py'
            tiny_experiments.write_config(
                config, kind, folder_of_data(kind, sample_data),
                folder / 'work', BOXES if kind == 'detection' else '')
            assert main_of('train')([str(config)]) == 0
            done[kind] = config, newest(folder / 'work')
        return done[kind]

    return train


@pytest.fixture
def refused(tool):
    """Asserts that a tool ends as it should at a mistake."""

    def check(name, *argv, says):
        status, text = tool(name, *argv)
        assert status == 2, text
        assert text.startswith('error: ') and text.count('\n') == 1, text
        for part in says:
            assert part in text
        assert len(text) < 700

    return check


@pytest.fixture
def run(tmp_path):
    """Runs a tool as a user does, in the test's own folder."""

    def call(name: str, *argv, status: int = 0, **environment):
        script = ROOT / 'tools' / name
        command = [sys.executable] if name.endswith('.py') else ['bash']
        done = subprocess.run(
            [*command, str(script), *map(str, argv)], cwd=tmp_path,
            capture_output=True, text=True, timeout=300,
            env={**outside(), 'PYTHON': sys.executable, **environment})
        log = done.stdout + done.stderr
        assert done.returncode == status, log[-3000:]
        return log

    def outside():
        # pytest may itself run in a process of a launcher
        names = os.environ.keys() - {'RANK', 'LOCAL_RANK', 'WORLD_SIZE'}
        return {name: os.environ[name] for name in names}

    return call
