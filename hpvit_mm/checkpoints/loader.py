"""Make mmengine read checkpoints as the rest of this project does."""
import os
import re
from typing import Any

from mmengine.runner.checkpoint import (CheckpointLoader,
                                        get_deprecated_model_names,
                                        get_external_models,
                                        get_mmcls_models,
                                        get_torchvision_models)

from hpvit_mm.errors import UserError
from .read import read_checkpoint
from .report import check_finite

ZOOS = {
    'torchvision://': get_torchvision_models,
    'modelzoo://': get_torchvision_models,
    'openmmlab://': get_external_models,
    'open-mmlab://': get_external_models,
    'mmcls://': get_mmcls_models,
}
# mmengine's other storages, whose files it unpickles.
CLOSED = ('pavi://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://')


def register_loaders() -> None:
    """Replace mmengine's checkpoint loaders in this process.

    Why: mmengine's loaders execute what is pickled in a file: those of
    mmengine 0.10.7 for URLs, those of onedl-mmengine for any file that cannot
    be read otherwise. And resuming executes the text of a config that a file
    may hold.
    Until: mmengine reads tensors and plain data only.
    """
    for prefixes, loader in ((('', 'http://', 'https://'), load_from_hpvit_mm),
                             (tuple(ZOOS), load_from_zoo),
                             (CLOSED, load_from_elsewhere)):
        CheckpointLoader.register_scheme(prefixes, loader, force=True)


# mmengine logs the names of loaders without 'load_from_', and calls them with
# two arguments.


def load_from_hpvit_mm(filename: str, map_location: Any = None) -> dict:
    """Read a checkpoint, without what a run would execute or delete.

    mmengine executes the text of a config in it, and deletes files that it
    names. The tensors are copied, not mapped: mmengine may overwrite the file
    while the optimizer uses them.

    Args:
        filename: As in ``read_checkpoint``.
        map_location: As in ``torch.load``; None is the CPU.

    Raises:
        UserError: If it cannot be read safely, or holds NaN as weights.
    """
    content = read_checkpoint(filename, map_location=map_location or 'cpu',
                              lazy=False)
    weights = content.get('state_dict')
    check_finite(weights if isinstance(weights, dict) else content, filename,
                 allow_infinity=True)
    meta = content.get('meta')
    if isinstance(meta, dict):
        meta.pop('config', None)  # the Runner executes it; 'cfg' it does not
    hub = content.get('message_hub')
    if isinstance(hub, dict) and isinstance(hub.get('runtime_info'), dict):
        _disarm(hub['runtime_info'], filename)
    return content


def load_from_zoo(filename: str, map_location: Any = None) -> dict:
    """Read a checkpoint that mmengine knows by a name.

    Args:
        filename: Such as 'torchvision://resnet50'.
        map_location: As in ``torch.load``; None is the CPU.
    """
    zoo, name = re.match('(.+?://)(.*)', filename).groups()
    if 'mmlab' in zoo:
        name = get_deprecated_model_names().get(name, name)
    urls = ZOOS[zoo]()
    if name not in urls:
        raise UserError(f'{filename} is not a model that mmengine knows: '
                        'correct its name, or give a path or a URL.')
    content = load_from_hpvit_mm(urls[name], map_location)
    if zoo == 'mmcls://':  # whole classifiers, of which backbones are wanted
        tensors = content.get('state_dict', content)
        content = dict(state_dict={
            key[len('backbone.'):]: value for key, value in tensors.items()
            if key.startswith('backbone.')})
    return content


def load_from_elsewhere(filename: str, map_location: Any = None) -> dict:
    """Refuse storages whose files mmengine would unpickle."""
    raise UserError(f'{filename} cannot be read safely from there: download '
                    'the file and give its path.')


def _disarm(info: dict, filename: str) -> None:
    """Remove what would let a file have others deleted.

    CheckpointHook deletes the file or folder that ``best_ckpt`` names when it
    has a better one, and the checkpoints of the ids that it keeps. The best
    checkpoint is looked for beside the file, where it also is after its
    folder was moved.
    """
    for key in [key for key in info if str(key).startswith('best_ckpt')]:
        name = os.path.basename(str(info[key]))
        path = os.path.join(os.path.dirname(filename), name)
        if re.fullmatch(r'best_.+\.pth', name) and os.path.isfile(path):
            info[key] = path
        else:
            del info[key]
    if isinstance(info.get('keep_ckpt_ids'), list):
        info['keep_ckpt_ids'] = [number for number in info['keep_ckpt_ids']
                                 if isinstance(number, int)]
    else:
        info.pop('keep_ckpt_ids', None)
