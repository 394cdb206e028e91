"""torchrun, but silent about a mistake which the tool has explained itself.

torchrun follows every failure of a process with a report of some thirty
lines, and ends with status 1. The tools end with status 2 after one sentence
for the user; this keeps the sentence the last line, and the status.
"""
import logging
import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

USER_ERROR = 2


def main() -> int:
    """Run torchrun and return its exit status."""
    # it logs what the report of a failure says again
    logging.getLogger('torch.distributed.elastic.multiprocessing.api'
                      ).setLevel(logging.CRITICAL)
    try:
        run(parse_args(sys.argv[1:]))
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        if failure.exitcode == USER_ERROR:
            return USER_ERROR
        raise
    return 0


if __name__ == '__main__':
    sys.exit(main())
