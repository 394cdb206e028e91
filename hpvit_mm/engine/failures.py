"""Failures of a running training, in one sentence that names the cause."""
import re
from contextlib import contextmanager
from typing import Any, Iterator, Optional

import torch

from hpvit_mm.cli import user_error_text
from hpvit_mm.errors import Preempted, RankError, UserError

from . import agreement

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
def explained(runner, batch: Any = None, loading: bool = False,
              loader: str = 'train_dataloader') -> Iterator[None]:
    """Tell a user's failures from those of the code.

    Args:
        runner: The runner.
        batch: What is computed on; its shapes are told where memory does not
            suffice.
        loading: Whether batches are loaded inside.
        loader: What the config calls the loader of the batches.

    Raises:
        RankError: For what is known to come from the machine or the data. It
            is said by each process that it happens to.
        Preempted: If another process has gone because it was asked to.
    """
    try:
        yield
    except UserError as error:
        if not str(error).startswith('Caught '):
            raise
        # raised in a process that loads data, and again by torch
        raise RankError(user_error_text(error)) from error
    except (RuntimeError, OSError, EOFError, MemoryError) as error:
        if PEER_ENDED.search(str(error)) and agreement.end_was_announced():
            raise Preempted('another process was asked to') from error
        text = sentence(error, runner, batch, loading, loader)
        if text is None:
            raise
        raise RankError(text) from error


def sentence(error: Exception, runner, batch: Any, loading: bool,
             loader: str) -> Optional[str]:
    """What a failure means; None if that is not known."""
    text = str(error)
    again = 'then start it again' if loader == 'test_dataloader' else \
        'then continue with --resume'
    ended = WORKER_ENDED.search(text)
    if ended:
        return (f'a process that loads data (pid {ended[1]}) '
                f'{ended[2]}: most often the memory of the machine did not '
                f'suffice (see dmesg); use fewer {loader}.num_workers, '
                + again)
    if loading and isinstance(error, (ConnectionError, EOFError)):
        return (f'a process that loads data ended unexpectedly ({error!r}): '
                'most often the memory of the machine did not suffice (see '
                f'dmesg); use fewer {loader}.num_workers, {again}')
    if loading and 'DataLoader timed out' in text:
        return (f'{text}: no batch was loaded in this time; look at the '
                'storage of the data, or allow more time (timeout of the '
                f'data loader), {again}')
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) \
            or NO_MEMORY.search(text):
        where = 'of the GPU' if isinstance(
            error, torch.OutOfMemoryError) else 'of the machine'
        shapes = ', '.join(shapes_of(batch))
        what = f', for a batch of {shapes}' if shapes else ''
        remedy = ' with --auto-scale-lr, or model.backbone.with_cp=True' \
            if loader == 'train_dataloader' else ''
        return (f'the memory {where} does not suffice at iteration '
                f'{runner.iter}{what} '
                f'({text.splitlines()[0] if text else "no more is known"}): '
                f'use a smaller {loader}.batch_size{remedy}, {again}')
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
