"""Keys of --cfg-options: a misspelt one must not be a new entry."""
from typing import Any, Callable, Iterator, Optional, Tuple

from mmengine.config import Config
from mmengine.runner import (EpochBasedTrainLoop, IterBasedTrainLoop,
                             LogProcessor, Runner, TestLoop, ValLoop)
from torch.utils.data import DataLoader

from hpvit_mm.errors import UserError

from .signature import accepted_arguments, hint, is_unknown, nearest
from .types import RESERVED, find_anywhere, unknown_key

# Top-level entries that the runner or the tools read besides those which
# Runner.__init__ takes.
FURTHER_ENTRIES = {
    'activation_checkpointing', 'compile', 'custom_imports',
    'efficient_conv_bn_eval', 'find_unused_parameters', 'model_wrapper_cfg',
    'runner_type', 'strategy', 'sync_bn', 'tta_model', 'tta_pipeline'
}
# What mmengine takes out of a loader's dict before DataLoader sees it.
LOADER_ENTRIES = {
    'collate_fn', 'dataset', 'disable_subprocess_warning',
    'num_batch_per_epoch', 'worker_init_fn'
}
# Dicts that no constructor is called with.
FIXED_ENTRIES = {
    'auto_scale_lr': {'base_batch_size', 'enable'},
    'env_cfg': {'cudnn_benchmark', 'dist_cfg', 'mp_cfg', 'resource_limit'},
}


def check_options(cfg: Config, options: dict) -> None:
    """Refuse options that would have no effect.

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
                    f'{len(node)}, so {key} must be a number below that')
            node = node[int(key)]
        elif isinstance(node, dict):
            if key not in node:
                _check_new_key(node, path, key, option)
            node = node.get(key, {})
        elif node is None:
            return
        else:
            raise UserError(f'--cfg-options {option}: {path} is {node!r} and '
                            f'has no entries; set {path} itself')


def run_entries() -> set:
    """The top-level entries that have an effect."""
    return accepted_arguments(Runner)[0] - {'cfg'} | FURTHER_ENTRIES


def _no_entry(cfg: Config, option: str, key: str) -> str:
    if key not in cfg:
        return f'--cfg-options {option}: there is no entry {key}; ' + hint(
            key, run_entries() | set(cfg.keys()))
    sentence = (f'--cfg-options {option}: {key} is only a name inside the '
                'config file, whose value has been copied to where it is '
                'used; ')
    places = [path for path, _ in _leaves(cfg._cfg_dict)
              if path.split('.')[-1] == key
              and path.split('.')[0] in run_entries()]
    if not places:
        return sentence + 'set the entries that use it'
    return sentence + 'set ' + ', '.join(places[:4]) + ' instead'


def _leaves(node: Any, path: str = '') -> Iterator[Tuple[str, Any]]:
    named = node.items() if isinstance(node, dict) else \
        enumerate(node) if isinstance(node, (list, tuple)) else ()
    for key, value in named:
        inner = f'{path}.{key}' if path else str(key)
        yield inner, value
        yield from _leaves(value, inner)


def _check_new_key(node: dict, path: str, key: str, option: str) -> None:
    """Whether an entry that the config does not have yet makes sense."""
    if path == '':
        return  # looked at before
    target = constructor_at(node, path)
    if target is not None:
        names, takes_others = accepted_arguments(target)
        if target is DataLoader:
            names |= LOADER_ENTRIES
        if is_unknown(key, names | RESERVED, takes_others):
            raise UserError('--cfg-options ' + unknown_key(
                option, key, target, names))
    elif path in FIXED_ENTRIES and key not in FIXED_ENTRIES[path]:
        raise UserError(f'--cfg-options {option}: {path} has no entry {key}; '
                        + hint(key, FIXED_ENTRIES[path]))
    elif nearest(key, node):
        raise UserError(f'--cfg-options {option}: there is no {key} in '
                        f'{path}; {hint(key, node)}')


def constructor_at(node: dict, path: str) -> Optional[Callable]:
    """What is called with the entries of a dict in the config."""
    if 'type' in node:
        return find_anywhere(node['type'])
    return {
        'train_dataloader': DataLoader,
        'val_dataloader': DataLoader,
        'test_dataloader': DataLoader,
        'train_cfg': EpochBasedTrainLoop if node.get('by_epoch')
        else IterBasedTrainLoop,
        'val_cfg': ValLoop,
        'test_cfg': TestLoop,
        'log_processor': LogProcessor,
        'randomness': Runner.set_randomness,
    }.get(path)
