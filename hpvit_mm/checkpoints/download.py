"""Download checkpoints: complete, the expected file, or nothing."""
import hashlib
import os
import re
import socket
import sys
from contextlib import contextmanager
from http.client import HTTPException
from typing import Iterator, Optional
from urllib.error import HTTPError
from urllib.parse import urlsplit

import torch

from hpvit_mm.errors import UserError
from hpvit_mm.utils import locked
from .file import read_file

TIMEOUT = 30  # seconds without a byte
OTHERWISE = ('download it by other means and give its path, for example with '
             '--cfg-options model.backbone.init_cfg.checkpoint=PATH')
# The hash that torch.hub expects in a name; eight digits may be a date.
NAMED_HASH = re.compile(
    r'-(?!(?:19|20)\d{6}\.)([0-9a-f]{8,64})(?:\.[A-Za-z]\w*)+$')


def download(url: str, sha256: Optional[str] = None) -> str:
    """Return the local copy of a URL; one process per machine downloads it.

    Copies are in ``checkpoints/`` of ``torch.hub.get_dir()``, by torch.hub's
    names. A new one must have ``sha256``, or the hash in its name
    (``name-<8 to 64 hex digits>.pth``), and be readable to the end.

    Args:
        url: An http(s) URL.
        sha256: SHA-256 of the file, or its first 8 or more digits.

    Raises:
        UserError: If it cannot be downloaded, or is not the expected file.
    """
    name = file_name(url)
    path = os.path.join(torch.hub.get_dir(), 'checkpoints', name)
    named = NAMED_HASH.search(name)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with locked(f'{path}.lock', f'waiting for the download of {path} by '
                    'another process'):
            if not os.path.exists(path):
                _download(url, path, sha256 or (named and named[1]))
            elif sha256:
                check_sha256(path, sha256, 'delete this copy, and it is '
                             f'downloaded again from {url}')
    except OSError as error:
        raise UserError(f'{path} cannot be written ({error.strerror}): name '
                        'another folder for downloads by the environment '
                        'variable TORCH_HOME.') from error
    return path


def _download(url: str, path: str, sha256: Optional[str]) -> None:
    part = f'{path}.part'
    print(f'Downloading {url} to {path}', file=sys.stderr, flush=True)
    try:
        with _timeout():
            torch.hub.download_url_to_file(url, part,
                                           progress=sys.stderr.isatty())
        if sha256:
            check_sha256(part, sha256, f'it came from {url} and was removed; '
                         f'check the URL and the hash, or {OTHERWISE}')
        else:  # torch.hub does not notice a connection that breaks off
            read_file(part, url)
        os.replace(part, path)
    except UserError:
        raise
    except HTTPError as error:
        raise UserError(
            f'{url} cannot be downloaded (the server answers {error.code} '
            f'{error.reason}): '
            + ('it is gated or its link has expired: accept its licence, use '
               'a new link, ' if error.code in (401, 403) else
               'check the URL, ')
            + f'or {OTHERWISE}.') from error
    except (OSError, HTTPException, ValueError) as error:
        raise UserError(f'{url} cannot be downloaded ({error}): try again, '
                        f'or {OTHERWISE}.') from error
    finally:
        if os.path.exists(part):
            os.remove(part)


@contextmanager
def _timeout() -> Iterator[None]:
    """Limit how long a server may be silent; torch.hub has no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def file_name(url: str) -> str:
    """Return the name of the copy of a URL.

    Hugging Face gives the files of all models the same names, so that there
    the model and its revision come first.
    """
    path = urlsplit(url).path.strip('/')
    name = path.rsplit('/', 1)[-1]
    if '/resolve/' in path:
        name = path.replace('/resolve/', '/').replace('/', '--')
    if name in ('', '.', '..'):
        raise UserError(f'{url} names no file: give the URL of the '
                        'checkpoint itself.')
    return name


def download_from_hub(url: str) -> str:
    """Return the local copy of a model or a file on huggingface.co.

    Of ``hf://OWNER/MODEL[@REVISION][/FILE]`` without a file that is a folder
    with config.json and safetensors.
    """
    found = re.fullmatch(r'hf://([^/@]+/[^/@]+)(?:@([^/]+))?(?:/(.+))?', url)
    if not found:
        raise UserError(f'{url} names no model: give '
                        'hf://OWNER/MODEL[@REVISION][/FILE].')
    model, revision, file = found.groups()
    try:
        import huggingface_hub
        if file:
            return huggingface_hub.hf_hub_download(model, file,
                                                   revision=revision)
        return huggingface_hub.snapshot_download(
            model, revision=revision, allow_patterns=[
                'config.json', 'model*.safetensors',
                'model.safetensors.index.json'])
    except ImportError as error:
        raise UserError(f'{url} needs the package huggingface_hub: pip '
                        'install huggingface_hub.') from error
    except (OSError, ValueError) as error:  # hub errors derive from these
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f'{url} cannot be downloaded ({reason}): check its name, accept '
            "the model's licence and log in with `hf auth login` if it is "
            'gated, or give the path of a downloaded copy.') from error


def check_sha256(path: str, expected: str, remedy: str) -> None:
    """Raise a UserError unless a SHA-256 begins with the expected digits.

    ``remedy`` is the end of the sentence.
    """
    if not isinstance(expected, str) or not re.fullmatch(
            '[0-9a-fA-F]{8,64}', expected):
        raise UserError(f'sha256={expected!r} is not a SHA-256: give its 64 '
                        'hex digits, or at least the first 8.')
    digest = file_sha256(path)
    if not digest.startswith(expected.lower()):
        raise UserError(
            f'{path} has the SHA-256 {digest[:len(expected)]} and not '
            f'{expected}, so it is not the expected file: {remedy}.')


def file_sha256(path: str) -> str:
    """Return the SHA-256 of a file, in hex digits."""
    digest = hashlib.sha256()
    try:
        with open(path, 'rb') as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror}): check '
                        'its permissions and its disk.') from error
    return digest.hexdigest()
