"""torchrun that keeps the exit status and the last line of the tools.

torchrun follows each failure of a process with a report of thirty lines and
ends with status 1. The tools end with status 2 after one sentence for the
user, and with 75 when they were asked to end and have saved their state. Also,
SIGUSR1 is passed on to the processes, as SIGTERM, which all versions of
torchrun pass on; and they get a minute to end, where torchrun can be told.
"""
import logging
import os
import signal
import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

EXPLAINED = (2, 75)  # hpvit_mm.errors


def main() -> int:
    """Run torchrun and return its exit status."""
    for module in ('multiprocessing.api', 'agent.server.api'):
        # they log what the report of a failure says again
        logging.getLogger(f'torch.distributed.elastic.{module}').setLevel(
            logging.CRITICAL)
    os.environ.setdefault('TORCH_ELASTIC_SHUTDOWN_TIMEOUT', '60')
    signal.signal(signal.SIGUSR1,
                  lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        run(parse_args(sys.argv[1:]))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode in EXPLAINED:
            return failure.exitcode
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            print(f'error: process {rank} was ended by {name}'
                  + ('; most often the machine ran out of memory (see dmesg)'
                     if name == 'SIGKILL' else ''), file=sys.stderr)
            return 128 - failure.exitcode
        raise
    except SignalException as error:
        # after SIGTERM the processes have saved their state
        return 75 if error.sigval == signal.SIGTERM else 128 + error.sigval
    return 0


if __name__ == '__main__':
    sys.exit(main())
