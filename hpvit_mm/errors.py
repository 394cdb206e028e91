"""What ends a run, other than a fault of the code, and with which status."""

USER_ERROR = 2
# sysexits.h: a temporary failure, try again
PREEMPTED = 75


class UserError(ValueError):
    """A mistake in a config, a path, a file or an argument.

    The message is one sentence that names the thing and the remedy. The tools
    print it without a traceback and exit with status 2; in a library call it
    is an ordinary ``ValueError``. It takes exactly one argument, because
    mmengine's registry re-raises exceptions as ``type(e)(text)``.
    """


class RankError(UserError):
    """What a user can mend, but only the process to which it happened knows.

    A file that one process could not read, for instance. Of other errors one
    process per machine speaks for all.
    """


class Preempted(Exception):
    """A run was asked to end, has saved its state, and can be resumed.

    The tools end with status 75.
    """
