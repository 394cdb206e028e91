"""Failures of a running training, told in one sentence."""
import re
from contextlib import contextmanager
from typing import Any, Iterator, Optional

import torch

from hpvit_mm.cli import user_error_text
from hpvit_mm.errors import Preempted, RankError, UserError

# torch, of a DataLoader worker
WORKER_ENDED = re.compile(
    r'DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (exited unexpectedly|'
    r'is killed by signal: [\w ]+)')
# gloo, of another process of the run
PEER_ENDED = re.compile(
    'Connection closed by peer|Connection reset by peer|Broken pipe|'
    'Connection refused|Socket Timeout')
NO_MEMORY = re.compile("can't allocate memory|[Nn]ot enough memory")


@contextmanager
def explained(runner, batch: Any = None, loading: bool = False,
              loader: str = 'train_dataloader') -> Iterator[None]:
    """Turn failures of the machine or the data into one sentence.

    Args:
        runner: The runner.
        batch: The batch that is computed on, whose shapes are told when
            memory runs out.
        loading: Whether batches are loaded inside.
        loader: The name of the DataLoader in the config.

    Raises:
        RankError: For a failure that is known; each process tells its own.
        Preempted: If this process was asked to end and another one is gone.
    """
    try:
        yield
    except UserError as error:
        if not str(error).startswith('Caught '):
            raise
        # from a DataLoader worker, raised again by torch
        raise RankError(user_error_text(error)) from error
    except (RuntimeError, OSError, EOFError, MemoryError) as error:
        if PEER_ENDED.search(str(error)) and asked_to_end(runner):
            raise Preempted('so was another process') from error
        text = sentence(error, runner, batch, loading, loader)
        if text is None:
            raise
        raise RankError(text) from error


def asked_to_end(runner) -> bool:
    """Return whether a scheduler has signalled this process."""
    watches = (getattr(hook, 'watch', None) for hook in runner.hooks)
    return any(watch and watch.received is not None for watch in watches)


def sentence(error: Exception, runner, batch: Any, loading: bool,
             loader: str) -> Optional[str]:
    """Explain a failure; None if it is not known."""
    text = str(error)
    again = 'then start it again' if loader == 'test_dataloader' else \
        'then continue with --resume'
    fewer = ('most often the machine ran out of memory (see dmesg); use '
             f'fewer {loader}.num_workers, {again}')
    ended = WORKER_ENDED.search(text)
    if ended:
        return f'a DataLoader worker (pid {ended[1]}) {ended[2]}: {fewer}'
    if loading and isinstance(error, (ConnectionError, EOFError)):
        return f'a DataLoader worker ended unexpectedly ({error!r}): {fewer}'
    if loading and 'DataLoader timed out' in text:
        return (f'{text}: no batch was loaded in this time; check the storage '
                f'of the data, or raise {loader}.timeout, {again}')
    if PEER_ENDED.search(text):
        return ('another process of this run has ended: see its message, or '
                'the log of its machine')
    on_gpu = isinstance(error, torch.OutOfMemoryError)
    if on_gpu or isinstance(error, MemoryError) or NO_MEMORY.search(text):
        shapes = ', '.join(shapes_of(batch))
        what = f', for a batch of {shapes}' if shapes else ''
        reason = f' ({text.splitlines()[0]})' if text else ''
        remedy = ' with --auto-scale-lr, or model.backbone.with_cp=True' \
            if loader == 'train_dataloader' else ''
        return (f'the {"GPU" if on_gpu else "machine"} ran out of memory at '
                f'iteration {runner.iter}{what}{reason}: use a smaller '
                f'{loader}.batch_size{remedy}, {again}')
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
