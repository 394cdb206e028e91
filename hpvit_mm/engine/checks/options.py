"""Keys of --cfg-options: a misspelt one must not become a new entry."""
import inspect
import re
from typing import Any, Iterator

from mmengine.config import Config
from mmengine.runner import Runner

from hpvit_mm.errors import UserError

from .build import hint, nearest

# Top-level entries that the runner or the tools read besides those which
# Runner.__init__ takes.
FURTHER_ENTRIES = {
    'activation_checkpointing', 'compile', 'custom_imports',
    'efficient_conv_bn_eval', 'find_unused_parameters', 'model_wrapper_cfg',
    'runner_type', 'strategy', 'sync_bn', 'tta_model', 'tta_pipeline'
}
# Dicts of which the runner reads these entries and ignores others.
FIXED_ENTRIES = {
    'auto_scale_lr': {'base_batch_size', 'enable'},
    'env_cfg': {'cudnn_benchmark', 'dist_cfg', 'mp_cfg', 'resource_limit'},
    'randomness': {'deterministic', 'diff_rank_seed', 'seed'},
}
# Dicts whose keys the user chooses.
FREE = ('custom_keys', 'default_hooks')


def check_options(cfg: Config, options: dict) -> None:
    """Refuse options that would have no effect.

    A key of a dict with a type is left to the class, which is built before
    the run.

    Args:
        cfg: The config before the options are merged into it.
        options: Dotted keys and their values.
    """
    for option in options:
        _check_option(cfg, option)


def _check_option(cfg: Config, option: str) -> None:
    keys = option.split('.')
    if keys[0] not in run_entries():
        raise UserError(_no_entry(cfg, option, keys[0]))
    node: Any = cfg._cfg_dict
    for depth, key in enumerate(keys):
        path = '.'.join(keys[:depth])
        if isinstance(node, (list, tuple)):
            if not key.isdigit() or int(key) >= len(node):
                raise UserError(
                    f'--cfg-options {option}: {path} is a list of '
                    f'{len(node)}, so {key} must be an index below that')
            node = node[int(key)]
        elif isinstance(node, dict):
            if depth and key not in node:
                _check_new_key(node, path, key, option)
            node = node.get(key, {})
        elif node is None:
            return
        else:
            raise UserError(f'--cfg-options {option}: {path} is {node!r} and '
                            f'has no entries; set {path} itself')


def run_entries() -> set:
    """The top-level entries that have an effect."""
    return set(inspect.signature(Runner).parameters) - {'cfg'} \
        | FURTHER_ENTRIES


def _no_entry(cfg: Config, option: str, key: str) -> str:
    if key not in cfg:
        return f'--cfg-options {option}: there is no entry {key}; ' + hint(
            key, run_entries() | set(cfg.keys()))
    sentence = (f'--cfg-options {option}: {key} is only a name inside the '
                'config file, whose value has been copied to where it is '
                'used; ')
    places = [path for path in _paths(cfg._cfg_dict)
              if path.split('.')[-1] == key
              and path.split('.')[0] in run_entries()]
    if not places:
        return sentence + 'set the entries that use it'
    return sentence + 'set ' + ', '.join(places[:4]) + ' instead'


def _paths(node: Any, path: str = '') -> Iterator[str]:
    named = node.items() if isinstance(node, dict) else \
        enumerate(node) if isinstance(node, (list, tuple)) else ()
    for key, value in named:
        inner = f'{path}.{key}' if path else str(key)
        yield inner
        yield from _paths(value, inner)


def _check_new_key(node: dict, path: str, key: str, option: str) -> None:
    """Check a key that is not in a dict of the config yet."""
    if path in FIXED_ENTRIES:
        if key not in FIXED_ENTRIES[path]:
            raise UserError(
                f'--cfg-options {option}: {path} has no entry {key}; '
                + hint(key, FIXED_ENTRIES[path]))
        return
    if 'type' in node or path.rpartition('.')[2] in FREE:
        return
    guess = nearest(key, node, cutoff=0.9)
    # norm1 beside norm2 is no misspelling
    if guess and re.sub(r'\d', '', guess) != re.sub(r'\d', '', key):
        raise UserError(f'--cfg-options {option}: there is no {key} in '
                        f'{path}; did you mean {guess}?')
