"""The suites by their names."""
import importlib
import os
import time
from typing import List

import torch

from hpvit_mm import environment
from .. import machine
from .timing import Options

SUITES = {
    'cls': 'classification: a forward pass at 224 pixels',
    'dense': 'four levels: a forward pass at 512 pixels',
    'train': 'classification: a training step at 224 pixels',
    'step': 'around the network: optimizer and logging',
    'survive': 'what it costs that a training survives',
}


def run(suite: str, options: Options) -> dict:
    """Run a suite, one of :data:`SUITES`.

    Returns:
        A dict of plain values: the suite, how it was measured and how long
        that took, machine and versions, the load of the machine (processes
        that want to run) before and after, and the rows.
    """
    if options.device == 'cpu':
        torch.set_num_threads(1)
    start = time.monotonic()
    versions = dict(environment.versions(),
                    timm=environment.version_of('timm'))
    before = os.getloadavg()[0]
    described = machine.describe()
    print(f'{described["processor"]}, {described["gpu"] or "no GPU"}, '
          f'{torch.get_num_threads()} thread(s), load {before:.1f} before\n'
          + ', '.join(f'{name} {found}' for name, found in versions.items()
                      if found), flush=True)
    rows: List[dict] = importlib.import_module(
        f'{__package__}.{suite}').run(options)
    return dict(
        suite=suite, device=options.device, rounds=options.rounds,
        threads=torch.get_num_threads(), machine=described,
        instructions=torch.backends.cpu.get_cpu_capability(),
        versions=versions, seconds=time.monotonic() - start,
        load=[before, os.getloadavg()[0]], rows=rows)
