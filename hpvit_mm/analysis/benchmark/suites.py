"""The suites by their names."""
import importlib
from typing import List

import torch

from .timing import Options

SUITES = {
    'cls': 'classification: a forward pass at 224 pixels',
    'dense': 'four levels: a forward pass at 512 pixels',
    'train': 'classification: a training step at 224 pixels',
    'step': 'around the network: optimizer, logging, data preprocessor, '
            'metric, post-processing',
    'data': 'data pipelines, images per second and core',
}


def run(suite: str, options: Options) -> List[dict]:
    """The rows of a suite, one of :data:`SUITES`."""
    torch.set_num_threads(1)
    return importlib.import_module(f'{__package__}.{suite}').run(options)
