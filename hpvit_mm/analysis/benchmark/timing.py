"""Equality first, then times and memory, of variants in turns."""
import random
import statistics
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from hpvit_mm.errors import UserError


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes:
        rounds: How often each variant is timed.
        device: 'cpu' or 'cuda'.
    """
    rounds: int = 7
    device: str = 'cpu'


@dataclass(frozen=True)
class Variant:
    """One way to do what is timed.

    Attributes:
        name: What the table calls it.
        call: Does it once.
        images: Images that a call works on; 0 where there are none.
        macs: Multiply-adds of a call by formula, and those that are executed;
            None where there is nothing to count.
    """
    name: str
    call: Callable[[], Any]
    images: int = 0
    macs: Optional[Tuple[int, int]] = None


def check_equal(ours: Callable, theirs: Callable, x: Tensor,
                tolerance: float = 1e-5) -> float:
    """The largest relative difference of outputs, which must be small."""
    with torch.no_grad():
        error = max(
            ((one - other).norm() / other.norm()).item()
            for one, other in zip(ours(x), theirs(x)))
    if not error < tolerance:
        raise UserError(f'the variants differ by {error:.2g}, more than '
                        f'{tolerance:g}: their times cannot be compared')
    return error


def check_same(ours: Any, theirs: Any) -> None:
    """Tensors, or tuples of them, must be equal to the last bit."""
    if isinstance(ours, Tensor):
        ours, theirs = [ours], [theirs]
    if not all(torch.equal(*pair) for pair in zip(ours, theirs)):
        raise UserError('the variants differ: their times cannot be compared')


def milliseconds(call: Callable, device: str = 'cpu') -> float:
    """How long a call takes: processor time, or that between two events."""
    if device == 'cpu':
        start = time.process_time_ns()
        call()
        return (time.process_time_ns() - start) / 1e6
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    before.record()
    call()
    after.record()
    torch.cuda.synchronize()
    return before.elapsed_time(after)


def take_turns(variants: Dict[str, Callable], rounds: int = 7,
               device: str = 'cpu', seed: int = 0) -> Dict[str, List[float]]:
    """Milliseconds of each variant in each round, after one for warm-up.

    Args:
        variants: Name -> what to time.
        rounds: How often each is called.
        device: 'cpu' or 'cuda'.
        seed: Of the order, which is another one in each round.
    """
    for call in variants.values():
        milliseconds(call, device)
    order = random.Random(seed)
    times = {name: [] for name in variants}
    for _ in range(rounds):
        for name in order.sample(list(variants), len(variants)):
            times[name].append(milliseconds(variants[name], device))
    return times


def ratios(times: Dict[str, List[float]], base: str, name: str
           ) -> Tuple[float, float, float]:
    """How many times as fast as ``base``: median, worst and best round."""
    each = [b / a for a, b in zip(times[name], times[base])]
    return (statistics.median(times[base]) / statistics.median(times[name]),
            min(each), max(each))


def compare(title: str, variants: List[Variant], options: Options,
            base: int = 0) -> List[dict]:
    """Time variants and print a line for each, with ratios to one of them.

    Args:
        title: What is timed, with the size of the input.
        variants: The ways to do it.
        options: How to measure.
        base: Which of them has the ratio 1.

    Returns:
        A row per variant: case, variant, ratio (of medians), worst and best
        (of the rounds), milliseconds (of each round), and images per second
        and MACs where they are known.
    """
    times = take_turns({one.name: one.call for one in variants},
                       options.rounds, options.device)
    rows = []
    print(title)
    for one in variants:
        ratio, worst, best = ratios(times, variants[base].name, one.name)
        median = statistics.median(times[one.name])
        row = dict(case=title, variant=one.name, ratio=ratio, worst=worst,
                   best=best, milliseconds=times[one.name])
        line = (f'  {one.name:42} {median:9.2f} ms  {ratio:5.2f}x '
                f'({worst:.2f} to {best:.2f})')
        if one.images:
            row['images_per_second'] = one.images / median * 1e3
            line += f'  {row["images_per_second"]:8.2f} images/s'
        rows.append(row)
        print(line, flush=True)
    return rows


def saved_bytes(model: nn.Module, x: Tensor) -> int:
    """Memory that a forward pass keeps for the backward pass.

    Parameters are left out, and what is kept twice is counted once.
    """
    weights = {param.untyped_storage().data_ptr()
               for param in model.parameters()}
    kept = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    alive = []
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        outs = model(x)
    del outs
    return sum(kept.values())
