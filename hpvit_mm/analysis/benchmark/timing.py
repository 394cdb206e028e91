"""Equality first, then times, work and memory of variants in turns."""
import random
import statistics
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import (Any, Callable, Dict, Iterator, List, Optional, Sequence,
                    Tuple)

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.distributed._tools.mem_tracker import MemTracker

from hpvit_mm.errors import UserError
from hpvit_mm.models.layers.linear import linear
from .. import machine

# Sides of the matrices whose product is the peak that shares refer to.
PEAK_SIDE = dict(cpu=2048, cuda=8192)


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes:
        rounds: How often each variant is timed.
        device: 'cpu' (fp32, one thread) or 'cuda' (bf16 by autocast).
        compile: Whether networks are timed compiled, too.
    """
    rounds: int = 7
    device: str = 'cpu'
    compile: bool = False


@dataclass(frozen=True)
class Variant:
    """One way to do what is timed.

    Attributes:
        name: What the table calls it.
        call: Does it once.
        images: Images that a call works on; 0 where there are none.
        macs: Multiply-adds of a call: by formula, without padding and before
            any saving (nominal), and those that the code executes. None
            where there is nothing to count.
        model: The network, whose weights do not count as memory of a call.
        prepares: Whether the first call does what others need not: it
            compiles, or caches something.
        every: It is timed in each round, or in every second one, ...
    """
    name: str
    call: Callable[[], Any]
    images: int = 0
    macs: Optional[Tuple[int, int]] = None
    model: Optional[nn.Module] = None
    prepares: bool = False
    every: int = 1


def difference(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The largest relative difference of two lists of tensors."""
    return max(((one - other).norm() / other.norm()).item()
               for one, other in zip(ours, theirs))


def check_equal(ours: Callable, theirs: Callable, x: Tensor,
                tolerance: float = 2e-6) -> float:
    """The largest relative difference of outputs, which must be small."""
    with torch.no_grad():
        error = difference(ours(x), theirs(x))
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


@contextmanager
def all_cores() -> Iterator[None]:
    """Use what the machine has, while nothing is timed."""
    before = torch.get_num_threads()
    torch.set_num_threads(machine.usable_cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
               device: str = 'cpu', seed: int = 0,
               warm_up: Optional[Callable[[str], Any]] = None,
               every: Optional[Dict[str, int]] = None
               ) -> Dict[str, List[float]]:
    """Milliseconds of each variant in each round, after one for warm-up.

    Args:
        variants: Name -> what to time.
        rounds: How often each is called.
        device: 'cpu' or 'cuda'.
        seed: Of the order, which is another one in each round.
        warm_up: What to do with each name in the round for warm-up. Defaults
            to None: to call it.
        every: Name -> 2 for what is timed in every second round only, and
            so on. Defaults to None: all are timed in each.
    """
    for name, call in variants.items():
        warm_up(name) if warm_up else milliseconds(call, device)
    order = random.Random(seed)
    times = {name: [] for name in variants}
    for i in range(rounds):
        due = [name for name in variants
               if i % (every or {}).get(name, 1) == 0]
        for name in order.sample(due, len(due)):
            times[name].append(milliseconds(variants[name], device))
    return times


def ratios(times: Dict[str, List[float]], base: str, name: str,
           every: int = 1) -> Tuple[float, float, float]:
    """How many times as fast as ``base``: median, worst and best round.

    Args:
        times: Name -> its milliseconds in the rounds.
        base: The one that is timed in each round.
        name: The other.
        every: In which rounds that one is timed.
    """
    base_times = times[base][::every]
    each = [b / a for a, b in zip(times[name], base_times)]
    return (statistics.median(base_times) / statistics.median(times[name]),
            min(each), max(each))


def matrix_product(device: str) -> Variant:
    """The product of two random square matrices: the machine's peak.

    By the faster one of the libraries that torch has for it.
    """
    side = PEAK_SIDE[device]
    dtype = torch.float32 if device == 'cpu' else torch.bfloat16
    one, other = (torch.randn(side, side, device=device, dtype=dtype)
                  for _ in range(2))

    @torch.no_grad()
    def product() -> Tensor:
        return linear(one, other)

    return Variant(f'product of matrices {side} x {side}', product,
                   macs=(side**3, side**3))


def compare(title: str, variants: Sequence[Variant], options: Options,
            base: int = 0, pairs: Sequence[Tuple[str, str]] = ()
            ) -> List[dict]:
    """Time variants and print a line for each, with ratios to one of them.

    Where MACs are known, a product of large matrices is timed among them as
    the machine's peak, and a second table tells the share of it that each
    variant reaches, and the most memory that it takes beside its inputs and
    weights.

    Args:
        title: What is timed, with the size of the input.
        variants: The ways to do it.
        options: How to measure.
        base: Which of them has the ratio 1.
        pairs: Further ratios to print: names of a variant and its base.

    Returns:
        A row per variant and pair: case, variant, base, ratio (of medians),
        worst and best (of the rounds); per variant also milliseconds (of
        each round) and images per second, and where MACs are known nominal
        and executed GMACs, their shares of the peak, and peak MiB.
    """
    peak = None
    calls = {one.name: one.call for one in variants}
    if any(one.macs for one in variants):
        peak = matrix_product(options.device)
        calls[peak.name] = peak.call
    memory = {}

    def warm_up(name: str) -> None:
        # A call that is observed takes as long as another: one for both
        one = {one.name: one for one in variants}.get(name, peak)
        # for another number of threads networks would be compiled again
        with nullcontext() if options.compile else all_cores():
            if one.prepares or not one.model:
                one.call()
            if one.model:
                memory[name] = peak_bytes(one.call, one.model,
                                          options.device)

    every = {one.name: one.every for one in variants}
    times = take_turns(calls, options.rounds, options.device,
                       warm_up=warm_up, every=every)
    rows = []
    print(f'{title}\n  {"":42}    median  ratio (worst to best round)',
          flush=True)
    named = [(one.name, variants[base].name) for one in variants]
    for name, other in [*named, *pairs]:
        ratio, worst, best = ratios(times, other, name, every[name])
        rows.append(dict(case=title, variant=name, base=other, ratio=ratio,
                         worst=worst, best=best))
        span = f'{ratio:5.2f}x ({worst:.2f} to {best:.2f})'
        if len(rows) > len(variants):
            print(f'  {name} : {other}'.ljust(56) + span, flush=True)
            continue
        images = variants[len(rows) - 1].images
        median = statistics.median(times[name])
        rows[-1]['milliseconds'] = times[name]
        line = f'  {name:42} {median:8.1f} ms {span}'
        if images:
            rows[-1]['images_per_second'] = images / median * 1e3
            line += f' {rows[-1]["images_per_second"]:8.2f} images/s'
        print(line, flush=True)
    if peak:
        _work(variants, rows, times, peak, memory)
    return rows


def _work(variants: Sequence[Variant], rows: List[dict],
          times: Dict[str, List[float]], peak: Variant,
          memory: Dict[str, int]) -> None:
    """Complete rows by shares of the peak and memory, and print them."""
    rate = peak.macs[0] / statistics.median(times[peak.name])
    print(f'  {"":42}  nominal  executed   share of peak    peak\n'
          f'  {"(GMAC an image; shares by either count)":42}    GMACs     '
          'GMACs   nom.     exec.  memory', flush=True)
    for one, row in zip(variants, rows):
        if not one.macs:
            continue
        median = statistics.median(row['milliseconds'])
        nominal, executed = one.macs
        row.update(
            nominal_gmacs=nominal / 1e9 / one.images,
            executed_gmacs=executed / 1e9 / one.images,
            nominal_share=nominal / median / rate,
            executed_share=executed / median / rate,
            peak_mib=memory[one.name] / 2**20)
        print(f'  {one.name:42} {row["nominal_gmacs"]:8.2f} '
              f'{row["executed_gmacs"]:9.2f} {row["nominal_share"]:6.1%} '
              f'{row["executed_share"]:9.1%} {row["peak_mib"]:7.0f} MiB',
              flush=True)
    rows.append(dict(case=rows[0]['case'], variant=peak.name,
                     milliseconds=times[peak.name],
                     gmacs_per_second=rate / 1e6))
    print(f'  {peak.name:42} {rate / 1e6:8.1f} GMAC/s', flush=True)


def peak_bytes(call: Callable, model: nn.Module,
               device: str = 'cpu') -> int:
    """The most memory that a call takes beside the weights of the model."""
    if device == 'cuda':
        model.zero_grad(set_to_none=True)  # those of the call before count
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        return torch.cuda.max_memory_allocated() - before
    tracker = MemTracker()
    tracker.track_external(model)
    with tracker:
        call()
    peak = tracker.get_tracker_snapshot('peak')[torch.device('cpu')]
    return peak['Total'] - sum(
        size for kind, size in peak.items()
        if getattr(kind, 'name', '') in ('PARAM', 'BUFFER'))


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
            alive.append(tensor.detach())
        # as it is, the output of an attention, which keeps it, would keep
        # all in front of it, for ever
        return tensor.detach()

    alive = []
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        outs = model(x)
    del outs
    return sum(kept.values())
