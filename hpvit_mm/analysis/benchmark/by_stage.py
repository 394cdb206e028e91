"""Where the time of a forward pass goes."""
import copy
import re
import statistics
import time
from typing import Callable, Dict, Iterable, List, Optional

import torch
from torch import Tensor, nn
from torch.autograd.profiler_legacy import profile

from hpvit_mm.models import HPViT
from .. import cost
from .timing import Options

# What operations do -> the names that torch's profiler has for them.
KINDS = {
    'products of matrices': '(mm|_linear_pointwise)$',
    'attention': 'attention',
    'copies': '^(copy_|cat|fill_)$',
    'GELU': 'gelu',
    'LayerNorm': 'layer_norm',
}


class StageTimer:
    """Notes when the stages of a network begin, in all its forward passes.

    A stage ends where the first block of the next one begins. So its pooling
    and its output belong to it.

    Args:
        model: Ours, each of whose stages has blocks.

    Attributes:
        times: Per forward pass the milliseconds of processor time of the
            embedding and of each stage.
    """

    def __init__(self, model: HPViT) -> None:
        self.times: List[List[float]] = []
        self.marks: Dict[nn.Module, int] = {}
        firsts = [model.blocks[sum(model.stage_depths[:s])]
                  for s in range(len(model.pools) + 1)]
        self.hooks = [one.register_forward_pre_hook(self._mark)
                      for one in (model, *firsts)]
        self.hooks.append(model.register_forward_hook(self._end))

    def _mark(self, module: nn.Module, *_) -> None:
        # the last linear layer of a block may be called again, behind pooling
        self.marks.setdefault(module, time.process_time_ns())

    def _end(self, *_) -> None:
        marks = [*self.marks.values(), time.process_time_ns()]
        self.times.append([(after - before) / 1e6
                           for before, after in zip(marks, marks[1:])])
        self.marks.clear()

    def stop(self) -> None:
        """Note no more."""
        for hook in self.hooks:
            hook.remove()


def timer_of(model: HPViT, options: Options) -> Optional[StageTimer]:
    """None where it would disturb: on GPUs, and in compiled networks."""
    return None if options.compile or options.device != 'cpu' \
        else StageTimer(model)


def by_stage(title: str, model: HPViT, x: Tensor,
             timer: Optional[StageTimer], rows: List[dict],
             options: Options) -> List[dict]:
    """What the stages of a forward pass take on the CPU, and what it is for.

    Args:
        title: What was timed.
        model: Ours.
        x: Images (B, 3, H, W).
        timer: That of the model, while it was timed.
        rows: What ``compare`` has returned, with the machine's peak.
        options: How it was measured.

    Returns:
        A row per stage: its median share of the time, GMACs of an image, and
        the share of the peak that it executes; and a row with the shares of
        the kinds of operations. Nothing without a timer.
    """
    if timer is None:
        return []
    timer.stop()
    peak = next(row['gmacs_per_second'] for row in rows
                if 'gmacs_per_second' in row)
    parts, _ = cost.backbone_macs(copy.deepcopy(model).to('meta'),
                                  tuple(x.shape[2:]))
    # those behind equality and warm-up
    medians = [statistics.median(times)
               for times in zip(*timer.times[-options.rounds:])]
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


def shares(call: Callable) -> Dict[str, float]:
    """The shares of the processor time of a call, by kind of operation.

    That is what torch's profiler counts, also inside of other operations. It
    is not told what the time went into in Python.
    """
    with torch.no_grad():
        # The other profiler tells on the screen that it starts and stops.
        with profile() as events:
            call()
    return shares_of(events.key_averages())


def shares_of(events: Iterable) -> Dict[str, float]:
    """The same of the profiler's sums by operation."""
    found = dict.fromkeys((*KINDS, 'all else'), 0.)
    for event in events:
        name = event.key.removeprefix('aten::')
        kind = next((kind for kind, names in KINDS.items()
                     if re.search(names, name)), 'all else')
        found[kind] += event.self_cpu_time_total
    whole = sum(found.values())
    return {kind: part / whole for kind, part in found.items()}
