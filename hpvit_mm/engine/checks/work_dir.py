"""Check that the work dir can be written."""
import tempfile
from pathlib import Path

from hpvit_mm.errors import UserError


def check_work_dir(folder: str, what: str = 'the work dir',
                   remedy: str = 'name another --work-dir') -> None:
    """Create a folder and write a temporary file into it.

    Args:
        folder: Its path.
        what: What the sentence calls it.
        remedy: What else to do.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(
            f'{what} {path.absolute()} cannot be written: '
            f'{error.strerror or error}; {remedy}') from error
