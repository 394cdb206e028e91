"""What the processes of a run agree upon, beside the gradients.

On the CPU, in a group of their own: nobody waits for a GPU.
"""
from contextlib import suppress
from typing import Any, List, Optional

import torch
import torch.distributed as dist
from torch.distributed import ProcessGroup

END = 'hpvit_mm/end'  # a key in the store of the processes
_group: Optional[ProcessGroup] = None


def group() -> Optional[ProcessGroup]:
    """The group; None of a single process. All ask for it at once."""
    global _group
    if not (dist.is_available() and dist.is_initialized()):
        _group = None
    elif _group is None and dist.get_world_size() > 1:
        _group = dist.new_group(backend='gloo')
    return _group


def of_first(value: Any) -> Any:
    """What rank 0 gives, plain data, in all processes."""
    if group() is None:
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0, group=group(),
                               device=torch.device('cpu'))
    return values[0]


def of_all(value: Any) -> List[Any]:
    """What each process gives, by rank, in all processes."""
    if group() is None:
        return [value]
    values = [None] * dist.get_world_size()
    dist.all_gather_object(values, value, group=group())
    return values


def to_first(value: Any) -> Optional[List[Any]]:
    """What each process gives, by rank, in rank 0; None in the others."""
    if group() is None:
        return [value]
    values = [None] * dist.get_world_size() if dist.get_rank() == 0 else None
    dist.gather_object(value, values, dst=0, group=group())
    return values


def announce_end() -> None:
    """Tell the others that this process ends because it was asked to."""
    if _group is not None:
        with suppress(RuntimeError):  # nobody else is there any more
            _store().set(END, '1')


def end_was_announced() -> bool:
    """Whether a process that has gone had said so."""
    try:
        return _group is not None and _store().check([END])
    except RuntimeError:  # it kept the store
        return False


def _store():
    return dist.distributed_c10d._get_default_store()


class AnyProcess:
    """Asks at each iteration whether something holds in any process.

    The answer is that to the question of the iteration before, the same in
    all processes: so nobody waits for it.
    """

    def __init__(self) -> None:
        self.question = None

    def ask(self, holds: bool) -> bool:
        """Whether it holds here; returns whether it held anywhere."""
        if group() is None:
            return holds
        answer = self.answer()
        flag = torch.tensor([float(holds)])
        self.question = flag, dist.all_reduce(
            flag, dist.ReduceOp.MAX, group=group(), async_op=True)
        return answer

    def answer(self) -> bool:
        """The answer to the last question; the end of asking."""
        if self.question is None:
            return False
        flag, work = self.question
        self.question = None
        work.wait()
        return bool(flag.item())
