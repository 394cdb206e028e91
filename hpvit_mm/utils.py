"""Helpers that several parts share. Imports the standard library only."""
import fcntl
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Iterable, Iterator, Optional, Union

from hpvit_mm.errors import UserError


@contextmanager
def replacing(path: Union[str, Path]) -> Iterator[Path]:
    """Write a file atomically: yield a temporary file that replaces it.

    The temporary file is flushed to the disk before it is renamed, so that
    at any moment either the old or the new file exists, never a part.

    Raises:
        UserError: If the disk is full or the folder is not writable.
    """
    path = Path(path)
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        mode = part.stat().st_mode
        yield part
        part.chmod(mode)  # safetensors makes its files private
        put_in_place(part, path)
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError
        text = getattr(error, 'strerror', None) or str(error).splitlines()[0]
        raise UserError(f'{path} cannot be written ({text}): free some space, '
                        'or choose another folder.') from error
    finally:
        with suppress(OSError):  # the parent may not be a folder
            part.unlink()


def put_in_place(part: Path, path: Path) -> None:
    """Flush a finished file to the disk and rename it to its final path."""
    flush(part)
    os.replace(part, path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Union[str, Path],
           waiting: Optional[str] = None) -> Iterator[None]:
    """Hold an exclusive lock on a file, which is created if missing.

    The lock ends with the process, however that ends. A file system without
    locks is used without one.

    Args:
        path: The lock file; it is left behind.
        waiting: Printed to stderr before waiting for another process.
            Defaults to None: raise instead of waiting.

    Raises:
        BlockingIOError: If another process has the lock and ``waiting`` is
            None.
    """
    with open(path, 'a') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is None:
                raise
            print(waiting, file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:  # some network file systems have no locks
            pass
        yield


def usable_cores() -> int:
    """Number of cores this process may use, limits of containers included."""
    cores = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):  # 'max' where there is no limit
        quota, period = Path('/sys/fs/cgroup/cpu.max').read_text().split()
        cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores


def progress(items: Iterable, title: str, total: int) -> Iterable:
    """Iterate with a progress bar, where stderr is a terminal."""
    from tqdm import tqdm
    return tqdm(items, title, total, leave=False,
                disable=not sys.stderr.isatty())


def shorten(names: Iterable[Any], limit: int = 5, sep: str = ', ') -> str:
    """Join the first names of a list, and say how many more there are."""
    names = [str(name) for name in names]
    more = f' and {len(names) - limit} more' if len(names) > limit else ''
    return sep.join(names[:limit]) + more


def type_name(entry: dict) -> str:
    """Return the name in an entry's ``type``, which may be a class."""
    kind = entry.get('type', '')
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2]
