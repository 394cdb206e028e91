"""Backbones in folders of Hugging Face: config.json and model.safetensors."""
import copy
import json
from pathlib import Path
from string import Template
from typing import Union

import torch
from mmengine.registry import MODELS
from torch import nn

import hpvit_mm
from hpvit_mm.errors import UserError
from hpvit_mm.utils import replacing
from .download import download_from_hub
from .folder import read_folder
from .report import check_finite
from .write import check_destination, write_checkpoint

CARD = Template('''---
library_name: hpvit_mm
tags: [image-feature-extraction, vision-transformer]
---
# $name

A backbone of hpvit_mm $version: `$kind`, $parameters M parameters, outputs at
strides $strides with $channels channels.

```python
from hpvit_mm.checkpoints import from_pretrained
backbone = from_pretrained('PATH OF THIS FOLDER').eval()
maps = backbone(images)  # (B, 3, H, W) -> one output per stride
```

It needs torch, safetensors and mmengine; mmcv and the other libraries of
OpenMMLab are not imported. In a config of mmpretrain, mmdet or mmseg give the
arguments below, and `init_cfg=dict(type='Pretrained', checkpoint=FOLDER)`.

```json
$arguments
```
$notes''')


def save_pretrained(backbone: nn.Module, config: dict,
                    folder: Union[str, Path], notes: str = '') -> None:
    """Write a backbone to a new folder.

    Args:
        backbone: The backbone.
        config: Its entry in a config file, with ``type``.
        folder: The folder, which must not exist.
        notes: Markdown for the end of the model card, such as the data, the
            recipe and the metrics. Defaults to ''.

    Raises:
        UserError: If the folder exists or cannot be written, if a value is
            not finite, or if the config does not give this backbone.
    """
    folder = Path(folder)
    check_destination(folder)
    arguments = {name: value for name, value in copy.deepcopy(
        dict(config)).items() if name != 'init_cfg'}
    own = {name: one.shape for name, one in backbone.state_dict().items()}
    with torch.device('meta'):
        built = {name: one.shape for name, one in build(
            arguments, 'the config').state_dict().items()}
    if own != built:
        differ = sorted(name for name in own.keys() | built.keys()
                        if own.get(name) != built.get(name))
        raise UserError(
            f'the config does not give the backbone that is saved: '
            f'{differ[0]} is another; pass the entry it was built from')
    tensors = backbone.state_dict()
    check_finite(tensors, 'the backbone')
    folder.mkdir(parents=True)
    text = json.dumps(arguments, indent=2)
    with replacing(folder / 'config.json') as part:
        part.write_text(json.dumps(dict(
            library_name='hpvit_mm', version=hpvit_mm.__version__,
            backbone=json.loads(text)), indent=2) + '\n')
    write_checkpoint(tensors, folder / 'model.safetensors', {})
    with replacing(folder / 'README.md') as part:
        part.write_text(CARD.substitute(
            name=folder.name, version=hpvit_mm.__version__,
            kind=type(backbone).__name__, arguments=text, notes=notes,
            strides=', '.join(map(str, backbone.out_strides)),
            channels=', '.join(map(str, backbone.out_channels)),
            parameters=format(sum(one.numel() for one in
                                  backbone.parameters()) / 1e6, '.1f')))


def from_pretrained(folder: Union[str, Path]) -> nn.Module:
    """Read a backbone that :func:`save_pretrained` wrote.

    Args:
        folder: The folder, or ``hf://OWNER/MODEL[@REVISION]``.

    Returns:
        The backbone, in training mode as every new module.

    Raises:
        UserError: If it cannot be read, or was written by something else.
    """
    name = str(folder)
    path = Path(download_from_hub(name) if name.startswith('hf://') else name)
    if not path.is_dir():
        raise UserError(f'there is no folder {name}: check the path')
    content = read_folder(path)
    config = content['config'].get('backbone')
    if not isinstance(config, dict) or not str(config.get('type', '')
                                               ).startswith('hpvit_mm.'):
        raise UserError(
            f'{name}/config.json describes no backbone of hpvit_mm: give a '
            'folder of save_pretrained; other checkpoints are loaded by '
            "init_cfg=dict(type='Pretrained', checkpoint=...)")
    backbone = build(config, f'{name}/config.json')
    try:
        backbone.load_state_dict(content['state_dict'])
    except RuntimeError as error:
        raise UserError(f'{name}: model.safetensors does not fit config.json '
                        f'({str(error).splitlines()[1].strip()}): copy the '
                        'folder again') from error
    return backbone


def build(config: dict, source: str) -> nn.Module:
    """Build a backbone.

    Raises:
        UserError: If its class does not exist or refuses an argument.
    """
    try:
        return MODELS.build(copy.deepcopy(dict(config)))
    except UserError:
        raise
    except (KeyError, TypeError) as error:
        raise UserError(f'{source} does not describe a backbone: {error}; '
                        'update hpvit_mm, or correct it') from error
