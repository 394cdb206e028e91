"""Errors that end a run without a traceback, and their exit statuses."""

USER_ERROR = 2
# sysexits.h: a temporary failure, try again
PREEMPTED = 75


class UserError(ValueError):
    """An error in a config, a path, a file or an argument.

    The message is one sentence that says what is wrong and what to do. The
    tools print it without a traceback and exit with status 2. It takes exactly
    one argument, because mmengine's registry re-raises exceptions as
    ``type(e)(text)``.
    """


class RankError(UserError):
    """A UserError that is known to one process only, which prints it.

    For example a file that it could not read.
    """


class Preempted(Exception):
    """A run was asked to end, and can be resumed.

    The tools end with status 75.
    """
