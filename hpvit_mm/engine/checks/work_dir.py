"""Whether the work dir can be written."""
import tempfile
from pathlib import Path

from hpvit_mm.errors import UserError


def check_work_dir(work_dir: str) -> None:
    """Make the work dir and write something into it."""
    path = Path(work_dir)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(
            f'the work dir {path.absolute()} cannot be written: '
            f'{error.strerror or error}; name another --work-dir') from error
