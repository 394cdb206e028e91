"""Time variants in turn and compare them."""
import random
import statistics
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from hpvit_mm.errors import UserError


@dataclass(frozen=True)
class Options:
    """Options of a measurement.

    Attributes:
        rounds: How often each variant is timed.
        device: 'cpu' (fp32, one thread) or 'cuda' (bfloat16 autocast).
        compile: Whether networks are timed compiled as well.
    """
    rounds: int = 7
    device: str = 'cpu'
    compile: bool = False


@dataclass(frozen=True)
class Variant:
    """One way to do what is timed.

    Attributes:
        name: Its name in the table.
        call: Runs it once.
        images: Images of a call; 0 where there are none.
        gmacs: Executed GMACs per image, where they are known.
        check: Raises if the results are wrong; runs before the timing.
    """
    name: str
    call: Callable[[], Any]
    images: int = 0
    gmacs: Optional[float] = None
    check: Callable[[], Any] = bool


def difference(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The largest relative difference (norms) of two lists of tensors."""
    return max(((one - other).norm() / other.norm()).item()
               for one, other in zip(ours, theirs))


def check_equal(ours: Sequence[Tensor], theirs: Sequence[Tensor],
                tolerance: float = 2e-6) -> float:
    """Return the largest relative difference; raise if it is too large."""
    error = difference(ours, theirs)
    if not error <= tolerance:
        raise UserError(f'the variants differ by {error:.2g}, more than '
                        f'{tolerance:g}: their times cannot be compared')
    return error


def milliseconds(call: Callable[[], Any], device: str = 'cpu') -> float:
    """Processor time of a call, or the time between two CUDA events."""
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


def take_turns(variants: Sequence[Variant], options: Options
               ) -> Tuple[Dict[str, List[float]], Dict[str, str]]:
    """Milliseconds of each variant in each round, after one for warm-up.

    Returns:
        Name -> its times, and name -> error of those whose check or warm-up
        failed, such as a network that torch.compile refuses.
    """
    calls, errors = {}, {}
    for one in variants:
        try:
            one.check()
            one.call()
            calls[one.name] = one.call
        except UserError:
            raise
        except Exception as error:
            text = str(error).strip() or type(error).__name__
            errors[one.name] = text.splitlines()[0][:100]
    times = {name: [] for name in calls}
    order = random.Random(0)
    for _ in range(options.rounds):
        for name in order.sample(list(calls), len(calls)):
            times[name].append(milliseconds(calls[name], options.device))
    return times, errors


def ratio(times: Dict[str, List[float]], base: str, name: str
          ) -> Tuple[float, float, float]:
    """Speed relative to ``base``: of medians, of the worst and best round."""
    each = [b / a for a, b in zip(times[name], times[base])]
    return (statistics.median(times[base]) / statistics.median(times[name]),
            min(each), max(each))


def compare(title: str, variants: Sequence[Variant], options: Options
            ) -> List[dict]:
    """Time variants in turn and print a table in Markdown.

    Args:
        title: What is timed, with the size of the input.
        variants: The ways to do it; ratios refer to the first.
        options: Rounds, device, and whether to compile.

    Returns:
        A row per variant: case, variant and either error, or ratio (of
        medians), worst and best (of the rounds), milliseconds (of each
        round), images per second, and GMACs of an image.
    """
    times, errors = take_turns(variants, options)
    base = variants[0].name
    if base in errors:
        raise UserError(f'{title}: {base} failed: {errors[base]}')
    print(f'\n| {title} | ratio (worst to best round) | ms | images/s '
          '| GMACs |\n|---|--:|--:|--:|--:|', flush=True)
    rows = []
    for one in variants:
        row = dict(case=title, variant=one.name)
        rows.append(row)
        if one.name in errors:
            row['error'] = errors[one.name]
            print(f'| {one.name} | failed: {row["error"]} | | | |', flush=True)
            continue
        row['ratio'], row['worst'], row['best'] = ratio(times, base, one.name)
        row['milliseconds'] = times[one.name]
        median = statistics.median(times[one.name])
        speed = gmacs = ''
        if one.images:
            row['images_per_second'] = one.images / median * 1e3
            speed = f'{row["images_per_second"]:.3g}'
        if one.gmacs:
            row['gmacs'] = one.gmacs
            gmacs = f'{one.gmacs:.1f}'
        print(f'| {one.name} | {row["ratio"]:.2f} ({row["worst"]:.2f} to '
              f'{row["best"]:.2f}) | {median:.1f} | {speed} | {gmacs} |',
              flush=True)
    return rows
