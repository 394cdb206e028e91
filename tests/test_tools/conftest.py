"""The tools on tiny experiments."""
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_experiments
from tiny_experiments import ROOT, folder_of_data


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


@pytest.fixture
def tool(capsys):
    """Calls a tool in this process; returns its status and its stderr.

    For what ends before training: nothing is left behind.
    """

    def call(name: str, *argv):
        spec = importlib.util.spec_from_file_location(
            f'tools_{name}', ROOT / 'tools' / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        capsys.readouterr()
        try:
            status = module.main([str(one) for one in argv])
        except SystemExit as end:  # argparse
            status = end.code
        return status, capsys.readouterr().err

    return call


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
            env=dict(outside(), PYTHON=sys.executable, **environment))
        log = done.stdout + done.stderr
        assert done.returncode == status, log[-3000:]
        return log

    def outside():
        # pytest may itself run in a process of a launcher
        names = os.environ.keys() - {'RANK', 'LOCAL_RANK', 'WORLD_SIZE'}
        # several threads gain nothing here, and add up in another order
        return dict({name: os.environ[name] for name in names},
                    OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')

    return call
