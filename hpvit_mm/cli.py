"""Errors, signals and exit statuses of the command-line tools."""
import argparse
import contextlib
import errno
import logging
import multiprocessing
import os
import re
import signal
import sys
import textwrap
import traceback
from typing import Callable, Iterator, Sequence, Tuple

from hpvit_mm.errors import (PREEMPTED, USER_ERROR, Preempted, RankError,
                             UserError)

# Signals by which schedulers ask a run to end: SIGTERM before a job is killed,
# SIGUSR1 if slurm's --signal asks for it.
ASKING = (signal.SIGTERM, signal.SIGUSR1)
# Environment variables of the launchers.
LOCAL_RANK_VARIABLES = ('LOCAL_RANK', 'SLURM_LOCALID',
                        'OMPI_COMM_WORLD_LOCAL_RANK')
# torch's sizes overflow when there are many more pixels along a side.
LARGEST_SIDE = 2**16
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)  # the disk, or the quota


def examples(description: str, *commands: str, notes: str = '') -> dict:
    """Return arguments of an ArgumentParser whose help ends with commands.

    ``notes``, if any, follow them as they are.
    """
    return dict(description=textwrap.fill(description, 79),
                epilog='examples:\n  ' + '\n  '.join(commands)
                + (notes and f'\n\n{notes}'),
                formatter_class=argparse.RawDescriptionHelpFormatter)


def local_rank() -> int:
    """Index of this process on this machine.

    It is read from the environment, so that it is known before any process
    group exists. LOCAL_RANK is 0 in each task of slurm that sees one GPU.
    """
    return max(int(os.environ.get(name) or 0)
               for name in LOCAL_RANK_VARIABLES)


def user_error_text(error: UserError) -> str:
    """The sentence of an error, without what mmengine and torch add.

    mmengine's registry raises errors of a constructor again, with 'class `X`
    in file: ' in front, once per nested object; the first one in the chain
    has the plain sentence. torch adds the traceback of a DataLoader worker.
    """
    cause = error.__cause__ or error.__context__
    while isinstance(cause, UserError):
        error, cause = cause, cause.__cause__ or cause.__context__
    text = str(error)
    if text.startswith('Caught '):
        text = re.split('(?:User|Rank)Error: ', text)[-1]
    return ' '.join(text.split())


def run_tool(run: Callable[[], None]) -> int:
    """Run a tool and return its exit status.

    A user's error becomes one line on stderr and status 2, and so does a full
    disk. One process per machine prints it, because a folder may be missing
    on one machine only.
    """
    try:
        with unbroken():
            run()
    except UserError as error:
        if local_rank() == 0 or isinstance(error, RankError):
            print(f'error: {user_error_text(error)}', file=sys.stderr)
        return USER_ERROR
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        where = f', for {error.filename}' if error.filename else ''
        print(f'error: {error.strerror}{where}: free some space, then start '
              'this again; a training continues with --resume',
              file=sys.stderr)
        return USER_ERROR
    except Preempted as end:
        if local_rank() == 0:
            print(f'This run ends because it was asked to: {end}. Continue it '
                  'with --resume.', flush=True)
        return PREEMPTED
    return 0


@contextlib.contextmanager
def unbroken() -> Iterator[None]:
    """Re-raise the original error when a dying DataLoader worker masks it.

    When a worker is killed, torch raises an error in the main process
    wherever that is, also while it ends because of that failure.
    """
    try:
        yield
    except BaseException as error:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        before = error
        while isinstance(before, RuntimeError) and \
                str(before).startswith('DataLoader worker'):
            before = before.__context__
        if isinstance(before, (UserError, Preempted)):
            raise before
        raise


def end_when_asked() -> None:
    """End this process with status 75 on SIGTERM or SIGUSR1.

    During training PreemptionHook handles them; before and after it there is
    nothing to save.
    """
    def end(number, frame) -> None:
        if local_rank() == 0:
            print(f'{signal.Signals(number).name} received: this run, which '
                  'is not training at the moment, ends. Continue it with '
                  '--resume.', file=sys.stderr)
        end_now(PREEMPTED)

    for one in ASKING:
        signal.signal(one, end)


def finish(main: Callable[[], int]) -> None:
    """Call a tool that trains or tests, and end the process with its status.

    After a failure the interpreter does not shut down, because it would wait
    for DataLoader workers, which may hang. Neither does it in a distributed
    run: gloo's threads sometimes abort the shutdown (seen with torch 2.13), so
    that the launcher would report a failure.
    """
    try:
        status = main()
    except SystemExit as end:  # of argparse
        status = end.code
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        status = 130
    except BaseException:
        traceback.print_exc()
        status = 1
    distributed = sys.modules.get('torch.distributed')
    if not status and not (distributed and distributed.is_available()
                           and distributed.is_initialized()):
        sys.exit(0)
    logging.shutdown()
    end_now(status)


def end_now(status: int) -> None:
    """End this process and its DataLoader workers at once."""
    for child in multiprocessing.active_children():
        child.kill()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def parse_shape(values: Sequence[str]) -> Tuple[int, int]:
    """Convert one or two numbers to height and width."""
    try:
        size = [int(value) for value in values]
    except ValueError:
        size = []
    if len(size) not in (1, 2) or min(size) < 1 or max(size) > LARGEST_SIDE:
        raise UserError(
            f'--shape {" ".join(values)}: give the height and the width of an '
            'image in pixels, or one number for both, from 1 to '
            f'{LARGEST_SIDE}')
    return size[0], size[-1]
