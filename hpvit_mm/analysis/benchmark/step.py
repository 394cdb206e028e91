"""What a training step and a test do around the network."""
from typing import List

from . import log, optimizer
from .timing import Options


def run(options: Options) -> List[dict]:
    """Optimizer and logging."""
    rows = []
    for part in (optimizer, log):
        rows += part.run(options)
    return rows
