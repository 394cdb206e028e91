"""Where the time of a forward pass goes."""
import copy
import re
import statistics
import time
from typing import Callable, Dict, List

import torch
from torch import Tensor
from torch.autograd.profiler_legacy import profile

from hpvit_mm.models import HPViT
from .. import cost
from .timing import Options

# What operations do -> the names that torch's profiler has for them.
KINDS = {
    'products of matrices': 'mm$',
    'attention': 'attention',
    'copies': '^(copy_|cat|fill_)$',
    'GELU': 'gelu',
    'LayerNorm': 'layer_norm',
}


def by_stage(title: str, model: HPViT, x: Tensor, rows: List[dict],
             options: Options) -> List[dict]:
    """Time the stages of a forward pass on the CPU, and what it is spent on.

    A stage ends where the first block of the next one begins. So its pooling
    and its output belong to it.

    Args:
        title: What is timed.
        model: Ours.
        x: Images (B, 3, H, W).
        rows: What ``compare`` has returned, with the machine's peak.
        options: How to measure.

    Returns:
        A row per stage: its median share of the time, GMACs of an image, and
        the share of the peak that it executes; and a row with the shares of
        the kinds of operations. None on a GPU.
    """
    if options.device != 'cpu':
        return []
    peak = next(row['gmacs_per_second'] for row in rows
                if 'gmacs_per_second' in row)
    parts, _ = cost.backbone_macs(copy.deepcopy(model).to('meta'),
                                  tuple(x.shape[2:]))
    stage_times(model, x)
    turns = [stage_times(model, x) for _ in range(options.rounds)]
    medians = [statistics.median(times) for times in zip(*turns)]
    found = []
    print(f'{title}, ours by stage\n  {"":42}    median   share    GMACs   '
          'share of peak', flush=True)
    for part, milliseconds in zip(parts, medians):
        gmacs = part.executed / 1e9
        row = dict(case=f'{title}, by stage', variant=part.name,
                   share=milliseconds / sum(medians), executed_gmacs=gmacs,
                   executed_share=gmacs * len(x) / milliseconds * 1e3 / peak)
        found.append(row)
        print(f'  {part.name:42} {milliseconds:8.1f} ms {row["share"]:6.1%} '
              f'{gmacs:8.2f} {row["executed_share"]:9.1%}', flush=True)
    kinds = shares(lambda: model(x))
    print('  ' + ', '.join(f'{kind} {share:.1%}'
                           for kind, share in kinds.items()), flush=True)
    return found + [dict(case=f'{title}, by kind', variant='ours',
                         shares=kinds)]


def stage_times(model: HPViT, x: Tensor) -> List[float]:
    """Milliseconds of the embedding and of each stage."""
    firsts = [sum(model.stage_depths[:s])
              for s in range(len(model.pools) + 1)]
    marks = {}

    def mark(block, *_) -> None:
        # the last linear layer of a block may be called again, behind pooling
        marks.setdefault(block, time.process_time_ns())

    hooks = [model.blocks[first].register_forward_pre_hook(mark)
             for first in firsts]
    start = time.process_time_ns()
    with torch.no_grad():
        model(x)
    end = time.process_time_ns()
    for hook in hooks:
        hook.remove()
    times = [start, *marks.values(), end]
    return [(after - before) / 1e6 for before, after in zip(times, times[1:])]


def shares(call: Callable) -> Dict[str, float]:
    """The shares of the processor time of a call, by kind of operation.

    That is what torch's profiler counts, also inside of other operations. It
    is not told what the time went into in Python.
    """
    with torch.no_grad():
        call()
        # The other profiler tells on the screen that it starts and stops.
        with profile() as events:
            call()
    found = dict.fromkeys((*KINDS, 'all else'), 0.)
    for event in events.key_averages():
        name = event.key.removeprefix('aten::')
        kind = next((kind for kind, names in KINDS.items()
                     if re.search(names, name)), 'all else')
        found[kind] += event.self_cpu_time_total
    whole = sum(found.values())
    return {kind: part / whole for kind, part in found.items()}
