"""Reading checkpoint files without executing anything in them."""
import os
import pickle
from argparse import Namespace
from urllib.error import URLError
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, get_local_rank

from hpvit_mm.errors import UserError


def read_checkpoint(checkpoint: str, sha256=None) -> dict:
    """Read a checkpoint file, on the CPU, without executing code in it.

    Args:
        checkpoint: A ``.pth`` or ``.safetensors`` file, or an http(s)
            address, which is downloaded once to torch's hub folder.

    Returns:
        What the file holds: a dict.

    Raises:
        UserError: If there is no such file, if it is damaged, or if it holds
            anything but tensors and plain data.
    """
    path = str(checkpoint)
    if path.startswith(('http://', 'https://')):
        path = _download(path)
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise UserError(f'there is no checkpoint file {checkpoint}: check the '
                        'path.')
    try:
        if path.endswith('.safetensors'):
            from safetensors.torch import load_file
            content = load_file(path)
        else:
            # The authors' training checkpoints of MAE hold their arguments.
            with torch.serialization.safe_globals([Namespace]):
                content = torch.load(path, 'cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f'{checkpoint} holds more than tensors and plain data, or is '
            'damaged, and was not read, because such a file can execute code: '
            'save its state_dict alone, with torch.save, where you trust it '
            f'({str(error).splitlines()[0]}).') from error
    except Exception as error:  # each reader has its own for a damaged file
        raise UserError(
            f'{checkpoint} cannot be read as a checkpoint, it seems damaged '
            'or of another kind: copy or download it again '
            f'({str(error).splitlines()[0] if str(error) else error!r}).'
        ) from error
    if not isinstance(content, dict):
        raise UserError(f'{checkpoint} holds a {type(content).__name__}, not '
                        'a dict of tensors: save the state_dict.')
    return content


def _download(url: str) -> str:
    """The local copy of an address; one process per node fetches it."""
    folder = os.path.join(torch.hub.get_dir(), 'checkpoints')
    path = os.path.join(folder, os.path.basename(urlparse(url).path))
    error = None
    if get_local_rank() == 0 and not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, path)
        except (URLError, OSError) as e:
            error = e
    barrier()
    if not os.path.exists(path):
        raise UserError(
            f'{url} cannot be downloaded ({error}): fetch it by other means '
            'and give the path of the file, for example with --cfg-options '
            'model.backbone.init_cfg.checkpoint=PATH.')
    return path
