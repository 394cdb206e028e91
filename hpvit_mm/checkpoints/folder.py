"""Read a model folder of Hugging Face."""
import json
from pathlib import Path
from typing import Any

from hpvit_mm.errors import UserError
from .file import read_file

WEIGHTS = ('model.safetensors', 'model.safetensors.index.json',
           'pytorch_model.bin', 'pytorch_model.bin.index.json')


def read_folder(folder: Path, map_location: Any = 'cpu',
                lazy: bool = True) -> dict:
    """Read a folder in which transformers saved a model, whole or in shards.

    Safetensors are preferred to pickled files. The result has 'state_dict',
    and 'config', the content of config.json.
    """
    weights = next((folder / name for name in WEIGHTS
                    if (folder / name).exists()), None)
    config = folder / 'config.json'
    if weights is None:
        raise UserError(f'{folder} is a folder, but not one of Hugging Face '
                        '(config.json with model.safetensors or '
                        'pytorch_model.bin): name a checkpoint file in it.')
    if not config.exists():
        raise UserError(f'{folder} has no config.json: copy that too, or '
                        f'name the file {weights.name} itself.')
    read = _read_shards if weights.suffix == '.json' else _tensors
    return dict(config=_read_json(config),
                state_dict=read(weights, map_location, lazy))


def _tensors(file: Path, map_location: Any, lazy: bool) -> dict:
    content = read_file(str(file), str(file), map_location, lazy)
    return content['state_dict'] if file.suffix == '.safetensors' else content


def _read_shards(index: Path, map_location: Any, lazy: bool) -> dict:
    """Read the tensors that an index spreads over several files."""
    where = _read_json(index).get('weight_map')
    if not isinstance(where, dict) or not where:
        raise UserError(f'{index} has no weight_map: copy the folder again.')
    shards = {}
    for name in dict.fromkeys(where.values()):
        # An index comes from elsewhere, and must not lead out of its folder.
        if not isinstance(name, str) or Path(name).name != name:
            raise UserError(f'{index} names {name!r}, which is not a file of '
                            'its folder: do not use this model, or correct '
                            'it.')
        if not (index.parent / name).is_file():
            raise UserError(f'{index.parent} has no {name}, which '
                            f'{index.name} names: copy that file too.')
        shards[name] = _tensors(index.parent / name, map_location, lazy)
    for tensor, name in where.items():
        if tensor not in shards[name]:
            raise UserError(f'{index.parent / name} has no {tensor}, which '
                            f'{index.name} expects there: copy the folder '
                            'again.')
    return {tensor: shards[name][tensor] for tensor, name in where.items()}


def _read_json(file: Path) -> dict:
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f'{file} cannot be read ({error}): copy it '
                        'again.') from error
    if not isinstance(content, dict):
        raise UserError(f'{file} does not hold a JSON object: copy it again.')
    return content
