"""Collectives for plain data, between the CPUs of a run.

They use a gloo group of their own, so that nobody waits for a GPU. In a
single process they return what they are given.
"""
from datetime import timedelta
from typing import Any, List, Optional

import torch
import torch.distributed as dist
from torch.distributed import ProcessGroup

from hpvit_mm.errors import RankError

_group: Optional[ProcessGroup] = None


def group(timeout: Optional[timedelta] = None) -> Optional[ProcessGroup]:
    """Return the gloo group; None in a single process.

    The first call is a collective one, which creates the group.

    Args:
        timeout: How long a collective may take. Defaults to gloo's own.

    Raises:
        RankError: If the processes cannot connect.
    """
    global _group
    if not (dist.is_available() and dist.is_initialized()):
        _group = None
    elif _group is None and dist.get_world_size() > 1:
        try:
            _group = dist.new_group(backend='gloo', timeout=timeout)
        except RuntimeError as error:
            raise no_connection(error) from error
    return _group


def no_connection(error: Exception) -> RankError:
    """The error of processes that cannot connect by gloo."""
    return RankError(
        'the processes of this run cannot connect by gloo '
        f'({str(error).splitlines()[0]}): if the host name of a node resolves '
        'to a loopback address (see getent hosts $(hostname)), set '
        'GLOO_SOCKET_IFNAME to the network interface of the nodes, for '
        'example eth0')


def of_first(value: Any) -> Any:
    """Return the value that rank 0 passes."""
    if group() is None:
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0, group=group(),
                               device=torch.device('cpu'))
    return values[0]


def of_all(value: Any) -> List[Any]:
    """Return the values of all processes, by rank."""
    if group() is None:
        return [value]
    values = [None] * dist.get_world_size()
    dist.all_gather_object(values, value, group=group())
    return values


def to_first(value: Any) -> Optional[List[Any]]:
    """Return the values of all processes in rank 0, None in the others."""
    if group() is None:
        return [value]
    values = [None] * dist.get_world_size() if dist.get_rank() == 0 else None
    dist.gather_object(value, values, dst=0, group=group())
    return values


class AnyProcess:
    """Ask at each iteration whether something is true in any process.

    The answer is that of the iteration before, so that no process waits for
    the others. It is the same in all processes.
    """

    def __init__(self) -> None:
        self.question = None

    def ask(self, value: bool) -> bool:
        """Pass the value of this process; return whether any was true."""
        if group() is None:
            return value
        answer = self.answer()
        flag = torch.tensor([float(value)])
        self.question = flag, dist.all_reduce(
            flag, dist.ReduceOp.MAX, group=group(), async_op=True)
        return answer

    def answer(self) -> bool:
        """Return the answer to the last question, if there is one."""
        if self.question is None:
            return False
        flag, work = self.question
        self.question = None
        work.wait()
        return bool(flag.item())
