"""Files from the web, whole or not at all."""
import hashlib
import json
import os
import re
import sys
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from typing import Iterator, Optional
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import torch
from filelock import FileLock, Timeout
from mmengine.dist import barrier, is_distributed
from tqdm import tqdm

from hpvit_mm.cli import local_rank
from hpvit_mm.errors import UserError

TIMEOUT = 30  # seconds without a byte
CHUNK = 1 << 20
OTHERWISE = ('fetch the file by other means and give its path, for example '
             'with --cfg-options model.backbone.init_cfg.checkpoint=PATH')
# The hash that torch.hub expects in a name; eight digits may be a date.
NAMED_HASH = re.compile(
    r'-(?!(?:19|20)\d{6}\.)([0-9a-f]{8,64})(?:\.[A-Za-z]\w*)+$')


def download(url: str, sha256: Optional[str] = None) -> str:
    """The local copy of an address; one process per machine fetches it.

    Copies are where torch.hub has its own, by the same names, in
    ``checkpoints/`` of ``torch.hub.get_dir()``. What an interruption left
    behind is continued. A file is checked, when it comes, against ``sha256``
    or the hash in its name (``name-<8 to 64 hex digits>.pth``); a copy that
    is there already, against ``sha256``.

    Args:
        url: An http(s) address.
        sha256: The file's SHA-256, or its first 8 or more digits.

    Returns:
        The path of the copy.

    Raises:
        UserError: If it cannot be fetched, or is not the one expected.
    """
    path = os.path.join(torch.hub.get_dir(), 'checkpoints', file_name(url))
    try:
        if not is_distributed() or local_rank() == 0:
            if not os.path.exists(path):
                _download(url, path, sha256)
            elif sha256:
                check_sha256(path, sha256, 'delete this copy, and it is '
                             f'downloaded again from {url}')
    finally:
        barrier()
    if not os.path.exists(path):
        raise UserError(f'{url} was not downloaded by the first process of '
                        f'this machine, which tells why: {OTHERWISE}.')
    return path


def file_name(url: str) -> str:
    """How the copy of an address is called.

    Hugging Face gives the files of all models the same names, so that there
    the model and its revision come first.
    """
    path = urlsplit(url).path.strip('/')
    name = path.rsplit('/', 1)[-1]
    if '/resolve/' in path:
        name = path.replace('/resolve/', '/').replace('/', '--')
    if name in ('', '.', '..'):
        raise UserError(f'{url} names no file: give the address of the '
                        'checkpoint itself.')
    return name


def check_sha256(path: str, expected: str, remedy: str) -> None:
    """Raise a UserError unless a file has the expected SHA-256.

    Args:
        path: The file.
        expected: 8 to 64 hex digits, the first of the SHA-256.
        remedy: The end of the sentence.
    """
    if not re.fullmatch('[0-9a-fA-F]{8,64}', expected):
        raise UserError(f'sha256={expected!r} is no SHA-256: give its 64 hex '
                        'digits, or at least the first 8.')
    digest = hashlib.sha256()
    try:
        with open(path, 'rb') as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror}): check '
                        'its permissions and its disk.') from error
    if not digest.hexdigest().startswith(expected.lower()):
        raise UserError(
            f'{path} has the SHA-256 {digest.hexdigest()[:len(expected)]} '
            f'and not {expected}, so it is not the file expected: {remedy}.')


def _download(url: str, path: str, sha256: Optional[str]) -> None:
    """Fetch a file, unless another process has done so meanwhile."""
    folder, name = os.path.split(path)
    try:
        os.makedirs(folder, exist_ok=True)
        with _alone(path):
            if not os.path.exists(path):
                part = path + '.part'
                _fetch_persistently(url, part)
                _check_part(part, sha256 or _named_hash(name), url)
                os.replace(part, path)
                _remove(part + '.json')
                _say(f'Downloaded {path}')
            elif sha256:
                check_sha256(path, sha256, 'delete this copy')
    except OSError as error:
        raise UserError(f'{folder} cannot be written ({error.strerror}): name '
                        'another place for downloads by the environment '
                        'variable TORCH_HOME.') from error


def _named_hash(name: str) -> Optional[str]:
    found = NAMED_HASH.search(name)
    return found[1] if found else None


@contextmanager
def _alone(path: str) -> Iterator[None]:
    """Let one process of all that share the folder write a file."""
    lock = FileLock(path + '.lock')
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _say(f'Waiting for another process that downloads {path}')
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _check_part(part: str, expected: Optional[str], url: str) -> None:
    """Remove what came, unless it is the file expected."""
    if expected is None:
        return
    try:
        check_sha256(part, expected, f'it came from {url} and was removed; '
                     'check the address and the hash, or ' + OTHERWISE)
    except UserError:
        _remove(part)
        _remove(part + '.json')
        raise


def _fetch_persistently(url: str, part: str) -> None:
    """Fetch a file, and continue as long as each attempt brings more."""
    while True:
        before = _size(part)
        try:
            return _fetch(url, part)
        except HTTPError as error:
            raise UserError(
                f'{url} cannot be downloaded (the server answers {error.code} '
                f'{error.reason}): check the address, or {OTHERWISE}.'
            ) from error
        except UserError:
            raise
        except (OSError, HTTPException, ValueError) as error:
            if _size(part) <= before:
                raise UserError(
                    f'{url} cannot be downloaded ({error}): try again, which '
                    f'continues where it ended, or {OTHERWISE}.') from error


def _fetch(url: str, part: str) -> None:
    """Fetch what is missing of a file; all of it where that is unsure.

    ``part`` + '.json' remembers of which file ``part`` is a part.
    """
    origin = url.split('?')[0]  # what follows may be a password, or expire
    validator = _validator_of_part(part, origin)
    start = _size(part) if validator else 0
    headers = {'User-Agent': 'hpvit_mm', 'Accept-Encoding': 'identity'}
    if start:
        headers.update({'Range': f'bytes={start}-', 'If-Range': validator})
    try:
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code != 416 or not start:
            raise
        if error.headers.get('Content-Range') == f'bytes */{start}':
            return  # it was complete already
        _remove(part)
        return _fetch(url, part)
    with response:
        if start and response.status == 206:
            answer = response.headers.get('Content-Range', '')
            same = _validator(response) in (None, validator)
            if not same or not answer.startswith(f'bytes {start}-'):
                _remove(part)
                return _fetch(url, part)
            total = answer.rpartition('/')[2]
        elif response.status == 200:
            if response.headers.get_content_type() == 'text/html':
                raise UserError(f'{url} is a web page, not a checkpoint: give '
                                'the address of the file itself.')
            start, total = 0, response.headers.get('Content-Length', '')
            with open(part + '.json', 'w') as file:
                json.dump(dict(origin=origin, validator=_validator(response)),
                          file)
        else:
            raise OSError(f'the server answers {response.status}')
        _write(response, url, part, start,
               int(total) if total.isdigit() else None)


def _write(response: HTTPResponse, url: str, part: str, start: int,
           total: Optional[int]) -> None:
    """Write the body of an answer behind the first ``start`` bytes."""
    _say(f'Downloading {url} to {os.path.dirname(part)}'
         + (f', from byte {start} on' if start else ''))
    with open(part, 'ab' if start else 'wb') as file, tqdm(
            total=total, initial=start, unit='B', unit_scale=True,
            disable=not sys.stderr.isatty()) as bar:
        while chunk := response.read(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    if total is not None and _size(part) != total:
        raise OSError(f'{_size(part)} of {total} bytes came')


def _validator(response: HTTPResponse) -> Optional[str]:
    """What tells a file on a server from a later one at its address."""
    tag = response.headers.get('ETag')
    if tag and not tag.startswith('W/'):
        return tag
    return response.headers.get('Last-Modified')


def _validator_of_part(part: str, origin: str) -> Optional[str]:
    try:
        with open(part + '.json') as file:
            note = json.load(file)
        return note['validator'] if note['origin'] == origin else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.remove(path)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
