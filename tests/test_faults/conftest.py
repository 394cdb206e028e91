"""Fixtures of the tests of faults."""
import functools
import itertools
import json
import os

import pytest
import torch


@pytest.fixture(scope='session', autouse=True)
def ready_to_fork():
    """All imports done, and no threads, of which a fork would lack some."""
    import mmdet.apis  # noqa: F401
    import mmpretrain.apis  # noqa: F401
    import mmseg.apis  # noqa: F401

    import hpvit_mm.engine.run  # noqa: F401
    torch.set_num_threads(1)


@pytest.fixture
def experiment(tmp_path, sample_data):
    """Makes tiny experiments, each in a folder of its own."""
    from harness import Experiment
    numbers = itertools.count()

    def make(kind: str, more: str = '') -> Experiment:
        return Experiment(tmp_path / f'run{next(numbers)}', kind, sample_data,
                          more)

    return make


@pytest.fixture(scope='session')
def left_alone(tmp_path_factory, sample_data):
    """Runs that are left alone, each made once."""
    from harness import Experiment

    @functools.lru_cache(None)
    def make(kind: str, more: str = '', processes: int = 1,
             seed: int = None, before=lambda rank: None) -> Experiment:
        run = Experiment(tmp_path_factory.mktemp('alone'), kind, sample_data,
                         more)
        run.run(*([] if seed is None else ['--seed', seed]),
                processes=processes, before=before)
        return run

    return make


@pytest.fixture
def fault_table():
    """Notes what was injected, if FAULT_TABLE names a file for that.

    ``python tests/test_faults/table.py FILE`` makes a table of the lines.
    """

    def note(fault: str, runs: int, survived: int, lost: str = 'nothing'):
        line = dict(fault=fault, runs=runs, survived=survived, lost=lost)
        if os.environ.get('FAULT_TABLE'):
            with open(os.environ['FAULT_TABLE'], 'a') as file:
                file.write(json.dumps(line) + '\n')

    return note
