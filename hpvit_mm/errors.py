"""The one exception for what a user can mend."""


class UserError(ValueError):
    """A mistake in a config, a path, a file or an argument.

    The message is one sentence that names the thing and the remedy. The tools
    print it without a traceback and exit with status 2; in a library call it
    is an ordinary ``ValueError``. It takes exactly one argument, because
    mmengine's registry re-raises exceptions as ``type(e)(text)``.
    """
