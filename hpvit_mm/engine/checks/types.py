"""The ``type`` of a dict in the config, and whether its other keys fit."""
import contextlib
import importlib
from typing import Any, Callable, Iterable, Iterator, List, Optional, Tuple

import mmengine.registry as registries
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry
from mmengine.utils import get_object_from_string

from hpvit_mm.errors import UserError

from .signature import accepted_arguments, hint, is_unknown, nearest
from .values import check_texts

# Keys of typed dicts that mmengine takes out before the constructor is
# called.
RESERVED = {'type', '_scope_', 'priority', 'constructor', 'paramwise_cfg',
            'convert_to_iter_based'}
# A typed dict at one of these places is built with this registry. The model
# is not among them: it is built as a whole, and the data sets are, too.
PLACES = {
    'optim_wrapper': registries.OPTIM_WRAPPERS,
    'optim_wrapper.optimizer': registries.OPTIMIZERS,
    'param_scheduler': registries.PARAM_SCHEDULERS,
    'default_hooks': registries.HOOKS,
    'custom_hooks': registries.HOOKS,
    'train_cfg': registries.LOOPS,
    'val_cfg': registries.LOOPS,
    'test_cfg': registries.LOOPS,
    'val_evaluator': registries.METRICS,
    'test_evaluator': registries.METRICS,
    'strategy': registries.STRATEGIES,
    'visualizer': registries.VISUALIZERS,
    'visualizer.vis_backends': registries.VISBACKENDS,
    'log_processor': registries.LOG_PROCESSORS,
    'train_dataloader.sampler': registries.DATA_SAMPLERS,
    'val_dataloader.sampler': registries.DATA_SAMPLERS,
    'test_dataloader.sampler': registries.DATA_SAMPLERS,
    'train_dataloader.batch_sampler': registries.DATA_SAMPLERS,
}


def check_host(cfg: Config) -> None:
    """The library that ``default_scope`` names must be installed."""
    scope = cfg.get('default_scope') or 'mmengine'
    try:
        importlib.import_module(scope)
    except ModuleNotFoundError as error:
        if error.name != scope:
            raise
        raise UserError(
            f'default_scope of the config is {scope}, which is not '
            'installed; install it, or correct default_scope (mmpretrain, '
            'mmdet or mmseg)') from error


def check_types(cfg: Config, used: Tuple[str, ...]) -> None:
    """Check names and keys of everything but the model and the data.

    Args:
        cfg: The config, inside of its default scope.
        used: The top-level entries which this run uses.
    """
    for place, registry in PLACES.items():
        if place.split('.')[0] not in used:
            continue
        for path, entry in entries_at(cfg, place):
            # a dict with metrics is an evaluator of several, no metric
            if 'type' in entry and 'metrics' not in entry:
                target = find_type(entry['type'], registry, path)
                check_keys(entry, target, path)
                check_texts(entry, target, path)
    wrapper = cfg.get('optim_wrapper') if 'optim_wrapper' in used else None
    if wrapper and wrapper.get('constructor'):
        find_type(wrapper['constructor'],
                  registries.OPTIM_WRAPPER_CONSTRUCTORS,
                  'optim_wrapper.constructor')


def entries_at(cfg: Config, place: str) -> Iterator[Tuple[str, dict]]:
    """The dicts at a place: one, or several in a list, or hooks by name."""
    node: Any = cfg
    for key in place.split('.'):
        node = node.get(key) if isinstance(node, (dict, Config)) else None
    if isinstance(node, dict) and place != 'default_hooks':
        yield place, node
    elif isinstance(node, (dict, list, tuple)):
        named = node.items() if isinstance(node, dict) else enumerate(node)
        for key, entry in named:
            if isinstance(entry, dict):
                yield f'{place}.{key}', entry


def find_type(name: Any, registry: Registry, path: str) -> Callable:
    """The class of a registered name."""
    if not isinstance(name, str):
        return name
    target = look_up(name, registry)
    if target is None:
        raise UserError(f'{path}: there is no {name} among the '
                        f'{registry.name}s; {hint_type(name, registry)}')
    return target


def look_up(name: str, registry: Registry) -> Optional[Callable]:
    """The class of a name, in the current scope or the one it states."""
    prefix, _, plain = name.rpartition('.')
    for one in _searched(registry, prefix):
        if plain in one.module_dict:
            return one.module_dict[plain]
        if plain in on_demand(one):
            return one.get(plain)
    return class_at(name) if prefix else None


def class_at(path: str) -> Optional[type]:
    """The class at a path such as torch.nn.Linear.

    mmengine would call a function just as well, such as os.system.
    """
    found = get_object_from_string(path)
    return found if isinstance(found, type) else None


def find_anywhere(name: Any) -> Optional[Callable]:
    """The class of a name in whatever registry has it.

    Inside a model the registry of a dict depends on who builds it.
    """
    if not isinstance(name, str):
        return name if callable(name) else None
    roots = [one for one in vars(registries.root).values()
             if isinstance(one, Registry)]
    found = (look_up(name, root) for root in roots)
    return next((one for one in found if one is not None), None)


def _searched(root: Registry, prefix: str) -> List[Registry]:
    """The registries in which mmengine would look, filled."""
    scope = prefix or current_scope()
    with contextlib.suppress(ImportError):
        importlib.import_module(f'{scope}.registry')
    found = [root.children[scope]] if scope in root.children else []
    if not prefix or prefix == root.scope:
        found.append(root)
    for one in found:
        one.import_from_location()
    return found


def on_demand(registry: Registry) -> Iterable[str]:
    """Names that our own registries import when they are asked for."""
    return getattr(registry, 'on_demand', ())


def current_scope() -> str:
    """The scope in which names without a prefix are looked up."""
    scope = DefaultScope.get_current_instance()
    return scope.scope_name if scope else 'mmengine'


def hint_type(name: str, registry: Registry = registries.MODELS) -> str:
    """The end of a sentence about a name that is not registered."""
    prefix, _, plain = name.rpartition('.')
    known = {one for searched in _searched(registry, prefix)
             for one in (*searched.module_dict, *on_demand(searched))}
    guess = nearest(plain, known)
    if guess:
        return f'did you mean {prefix + "." if prefix else ""}{guess}?'
    return 'correct its type, or import what registers it by custom_imports'


def check_keys(entry: dict, target: Callable, path: str) -> None:
    """Check the keys of a typed dict against its constructor."""
    if not callable(target):
        return
    try:
        names, takes_others = accepted_arguments(target)
    except (TypeError, ValueError):  # a builtin without a signature
        return
    for key in entry:
        if key not in RESERVED and is_unknown(key, names, takes_others):
            raise UserError(unknown_key(path, key, target, names))


def unknown_key(path: str, key: str, target: Callable, names: set) -> str:
    """The sentence about a key which its constructor does not take."""
    name = getattr(target, '__name__', str(target))
    return f'{path}: {name} has no argument {key}; {hint(key, names)}'


def typed_dicts(node: Any, path: str) -> Iterator[Tuple[str, dict]]:
    """All dicts with a ``type``, outer ones first."""
    if isinstance(node, dict):
        if 'type' in node:
            yield path, node
        for key, value in node.items():
            yield from typed_dicts(value, f'{path}.{key}')
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from typed_dicts(value, f'{path}.{index}')
