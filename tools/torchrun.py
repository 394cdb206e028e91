"""torchrun, but short about what the tool has explained itself.

torchrun follows every failure of a process with a report of some thirty
lines, and ends with status 1. The tools end with status 2 after one sentence
for the user, and with 75 when they were asked to end and have saved their
state; this keeps the sentence the last line, and the status. SIGUSR1, too, is
passed on to the processes, and they get a minute after a signal.
"""
import logging
import os
import signal
import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

EXPLAINED = (2, 75)  # hpvit_mm.errors
SIGNALS = 'SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1'


def main() -> int:
    """Run torchrun and return its exit status."""
    # it logs what the report of a failure says again
    logging.getLogger('torch.distributed.elastic.multiprocessing.api'
                      ).setLevel(logging.CRITICAL)
    logging.getLogger('torch.distributed.elastic.agent.server.api'
                      ).setLevel(logging.CRITICAL)
    os.environ.setdefault('TORCH_ELASTIC_SHUTDOWN_TIMEOUT', '60')
    try:
        run(parse_args(['--signals-to-handle', SIGNALS, *sys.argv[1:]]))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode in EXPLAINED:
            return failure.exitcode
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            print(f'error: process {rank} was ended by {name}'
                  + ('; most often the memory of the machine did not suffice '
                     '(see dmesg)' if name == 'SIGKILL' else ''),
                  file=sys.stderr)
            return 128 - failure.exitcode
        raise
    except SignalException as error:
        if error.sigval in (signal.SIGTERM, signal.SIGUSR1):
            return 75  # the processes have saved their state
        return 128 + error.sigval
    return 0


if __name__ == '__main__':
    sys.exit(main())
