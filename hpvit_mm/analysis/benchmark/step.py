"""What a training step and a test do around the network."""
from typing import List

from . import log, optimizer, preprocessing, segmentation
from .timing import Options


def run(options: Options) -> List[dict]:
    """Optimizer, logging, data preprocessors, metric and post-processing."""
    rows = []
    for part in (optimizer, log, preprocessing, segmentation):
        rows += part.run(options)
    return rows
