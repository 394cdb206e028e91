"""Whether the types that a config in JSON or YAML names are registered.

mmengine imports a module for a name that the registry at hand does not have,
and calls what it finds there. So such a name is refused before anything is
built. The host libraries are not changed for this.
"""
import contextlib
import importlib
import importlib.util
import re
from typing import Any, Iterator, List, Set, Tuple

from mmengine.config import Config
from mmengine.registry import Registry

from hpvit_mm.errors import UserError

from .signature import nearest
from .types import check_host, on_demand

# Keys of texts that a library looks up in a registry.
LOOKED_UP = (
    'type', 'constructor', 'ema_type', 'runner_type',
    'auto_wrap_policy', 'check_fn', 'param_init_fn',  # FSDP of mmengine
    'padding_mode', 'resize_type',  # ConvModule and RandomResize of mmcv
    'conv_type', 'norm_layer',  # PatchEmbed and TIMMBackbone of the hosts
)
SCOPED = ('default_scope', '_scope_')
# At other keys no library looks up what a text names, as far as is known. One
# that names something in a module is refused all the same, unless it is that
# of a file, or at a key whose texts are looked at elsewhere.
IN_MODULE = r'[^\W\d]\w*(\.[^\W\d]\w*)+'
FILES = ('.csv', '.json', '.jsonl', '.odgt', '.pth', '.safetensors', '.tsv',
         '.txt', '.yaml', '.yml')
ELSEWHERE = ('dtype', 'warp_mode')
# Texts at these keys that are no names of registered types: the library
# compares them, or knows where else to look.
UNREGISTERED = {
    # batched_nms of mmcv evaluates them
    'nms', 'nms_match', 'nms_quadri', 'nms_rotated', 'soft_nms',
    # roi_layer of mmdet: classes of mmcv.ops
    'DeformRoIPool', 'DeformRoIPoolPack', 'ModulatedDeformRoIPoolPack',
    'PrRoIPool', 'RiRoIAlignRotated', 'RoIAlign', 'RoIAlignRotated',
    'RoIPool', 'SimpleRoIAlign',
    'norm', 'value',  # clip_grad of OptimWrapper
    'log_trace', 'tb_trace',  # on_trace_ready of ProfilerHook
    'RotatingFileHandler', 'TimedRotatingFileHandler',  # of MMLogger
    'FullOptimStateDictConfig', 'FullStateDictConfig',  # of FSDP
    'LocalOptimStateDictConfig', 'LocalStateDictConfig',
    'dilation', 'offset',  # adapt_cfg of StageCascadeRPNHead of mmdet
    'conv', 'expand_conv', 'interpolation_conv', 'last_conv',  # FPG of mmdet
    'DW', 'GF',  # dw_cfg of HorNet of mmpretrain
    # padding_mode where it is one of torch, OpenCV or mmcv's transforms
    'border', 'circular', 'constant', 'edge', 'reflection', 'symmetric',
    'zeros',
}
# Type -> its key below which types are names of another library, or layers.
FOREIGN = {
    'Albu': 'transforms', 'Albumentations': 'transforms',
    'LoRAModel': 'targets',
}


def check_registered(cfg: Config) -> None:
    """Check, before anything is built, that all types have a registry.

    It need not be the one that will be asked, which only who builds the
    dict knows; so none may be the name of a module either.

    Args:
        cfg: A config from ``read_plain_config``, which refuses scopes other
            than ours.

    Raises:
        UserError: If a name is not registered, or is one of a module.
    """
    check_host(cfg)
    texts = list(_texts(cfg._cfg_dict.to_dict(), ''))
    _check_others(cfg.filename, texts)
    texts = [one for one in texts if one[1] in (*LOOKED_UP, *SCOPED, '')]
    scopes = {'mmengine', *(text for _, key, text in texts if key in SCOPED)}
    scopes |= {text.partition('.')[0] for _, _, text in texts if '.' in text}
    known = _known(scopes)
    for path, key, name in texts:
        if key in SCOPED:
            continue
        if (key or '.' in name) and name not in known:
            raise UserError(
                f'{cfg.filename}: {path}: there is no {name} among the types '
                f'of {", ".join(sorted(scopes))}; ' + _hint(name, known))
        if '.' not in name and _is_module(name):
            raise UserError(
                f'{cfg.filename}: {path}: {name} is the name of a module, '
                'which mmengine could import; name another type, or write '
                'the config in Python, which you then trust as code')


def _check_others(file: str, texts: List[Tuple[str, Any, str]]) -> None:
    """Refuse what names something in a module, where no type is expected."""
    for path, key, text in texts:
        if key in (*LOOKED_UP, *SCOPED, *ELSEWHERE, '') \
                or not re.fullmatch(IN_MODULE, text) or text.endswith(FILES):
            continue
        module = text.partition('.')[0]
        if _is_module(module):
            raise UserError(
                f'{file}: {path}: {text} could name something in the module '
                f'{module}, which a library might import and call; correct '
                'it, or write the config in Python, which you then trust as '
                'code')


def _hint(name: str, known: Set[str]) -> str:
    guess = nearest(name, known)
    return f'did you mean {guess}?' if guess else 'correct it, or write the ' \
        'config in Python, which you then trust as code'


def _texts(node: Any, path: str, key: Any = None, foreign: bool = False
           ) -> Iterator[Tuple[str, Any, str]]:
    """Place, key and text of all texts.

    The key is '' where names are FOREIGN, and None in a list.
    """
    if isinstance(node, dict):
        kind = str(node.get('type')).rpartition('.')[2]
        for inner, value in node.items():
            yield from _texts(value, f'{path}.{inner}' if path else str(inner),
                              inner, foreign or FOREIGN.get(kind) == inner)
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from _texts(value, f'{path}.{index}', None, foreign)
    elif isinstance(node, str):
        named = key in LOOKED_UP + SCOPED
        yield path, '' if foreign and named else key, node


def registered(scope: str) -> Set[str]:
    """The names that a library registers, without its scope.

    Some of our own modules need a host, and are imported on demand: their
    names are known before.
    """
    if scope == 'mmengine':  # its registries do not say where names are
        importlib.import_module('mmengine.runner')
    try:
        module = importlib.import_module(f'{scope}.registry')
    except ImportError:  # it is not installed
        return set()
    names = set()
    for one in vars(module).values():
        if isinstance(one, Registry) and one.scope == scope:
            with contextlib.suppress(ImportError):  # what a part needs is not
                one.import_from_location()
            names |= {*one.module_dict, *on_demand(one)}
    return names


def _known(scopes: Set[str]) -> Set[str]:
    """The names that libraries register, alone and behind their scope.

    mmengine looks for names behind the scope of another among its own, too.
    """
    names = {scope: registered(scope) for scope in sorted(scopes)}
    return UNREGISTERED.union(*names.values(), *(
        {f'{scope}.{name}' for name in own | names['mmengine']}
        for scope, own in names.items()))


def _is_module(name: str) -> bool:
    """Whether an import would find it. This imports nothing."""
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # a module that was made by hand
        return True
