"""Failures of a running training, in one sentence that names the cause."""
import re
from contextlib import contextmanager
from typing import Any, Iterator, Optional

import torch

from hpvit_mm.cli import user_error_text
from hpvit_mm.errors import RankError, UserError

# What a data loader says when one of its processes has ended. All but the
# first are what reading from that process gives.
WORKER_ENDED = re.compile(
    r'DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (exited unexpectedly|'
    r'is killed by signal: [\w ]+)')
PEER_ENDED = re.compile(
    'Connection closed by peer|Connection reset by peer|Broken pipe|'
    'Connection refused|Socket Timeout')
NO_MEMORY = re.compile("can't allocate memory|[Nn]ot enough memory")


@contextmanager
def explained(runner, batch: Any = None,
              loading: bool = False) -> Iterator[None]:
    """Tell a user's failures from those of the code.

    Args:
        runner: The runner.
        batch: What is computed on; its shapes are told where memory does not
            suffice.
        loading: Whether batches are loaded inside.

    Raises:
        RankError: For what is known to come from the machine or the data. It
            is said by each process that it happens to.
    """
    try:
        yield
    except UserError as error:
        if not str(error).startswith('Caught '):
            raise
        # raised in a process that loads data, and again by torch
        raise RankError(user_error_text(error)) from error
    except (RuntimeError, OSError, EOFError, MemoryError) as error:
        text = sentence(error, runner, batch, loading)
        if text is None:
            raise
        raise RankError(text) from error


def sentence(error: Exception, runner, batch: Any,
             loading: bool) -> Optional[str]:
    """What a failure means; None if that is not known."""
    text = str(error)
    again = 'then continue with --resume'
    ended = WORKER_ENDED.search(text)
    if ended:
        return (f'a process that loads data (pid {ended[1]}) '
                f'{ended[2]}: most often the memory of the machine did not '
                'suffice (see dmesg); use fewer train_dataloader.num_workers, '
                + again)
    if loading and isinstance(error, (ConnectionError, EOFError)):
        return (f'a process that loads data ended unexpectedly ({error!r}): '
                'most often the memory of the machine did not suffice (see '
                f'dmesg); use fewer train_dataloader.num_workers, {again}')
    if loading and 'DataLoader timed out' in text:
        return (f'{text}: no batch was loaded in this time; look at the '
                'storage of the data, or allow more time (timeout of the '
                f'data loader), {again}')
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) \
            or NO_MEMORY.search(text):
        where = 'of the GPU' if isinstance(
            error, torch.OutOfMemoryError) else 'of the machine'
        shapes = ', '.join(shapes_of(batch)) or 'unknown'
        return (f'the memory {where} does not suffice at iteration '
                f'{runner.iter}, for a batch of {shapes} '
                f'({text.splitlines()[0] if text else "no more is known"}): '
                'use a smaller train_dataloader.batch_size with '
                f'--auto-scale-lr, or model.backbone.with_cp=True, {again}')
    if PEER_ENDED.search(text):
        return ('another process of this run has ended: see its message, or '
                'the log of its machine')
    return None


def shapes_of(batch: Any) -> Iterator[str]:
    """The shapes of the images of a batch, each once."""
    inputs = batch.get('inputs') if isinstance(batch, dict) else None
    images = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    shapes = [tuple(one.shape) for one in images
              if isinstance(one, torch.Tensor)]
    for shape in dict.fromkeys(shapes):
        count = shapes.count(shape)
        yield f'{count} x {shape}' if len(shapes) > 1 else str(shape)
