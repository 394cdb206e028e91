"""Reading configs in JSON and YAML, of which nothing is executed.

A config in Python is a program, and whoever runs it trusts it as one. A JSON
or YAML file looks like data, so it is treated as data: what would make
mmengine or a host library execute something is refused while the file is
read.
"""
import json
import keyword
import math
import os.path as osp
import re
import tempfile
from pathlib import Path
from typing import Any, NoReturn, Tuple

import yaml
from mmengine.config import Config
from mmengine.fileio import PickleHandler, YamlHandler, register_handler

from hpvit_mm.checkpoints.loader import register_loaders
from hpvit_mm.errors import UserError

from .checks.names import LOOKED_UP

PLAIN = ('.json', '.yaml', '.yml')
# The libraries whose types a plain config may name. mmengine imports whatever
# else stands before the dot of a type.
SCOPES = ('mmengine', 'mmpretrain', 'mmdet', 'mmseg', 'hpvit_mm')
# A name such as AdamW, hpvit_mm.HPViT or torchvision/Normalize
NAME = rf'(({"|".join(SCOPES)})\.)?[\w/-]+'
SCOPE = '|'.join(SCOPES)
NOTHING = '(?!)'
# Key -> what a text there must be, because the libraries import it, evaluate
# it as Python, or unpickle what it names.
TEXTS = {
    **dict.fromkeys(LOOKED_UP, NAME),
    'default_scope': SCOPE, '_scope_': SCOPE,
    'dtype': r'[\w.]+',  # torchvision/... of mmpretrain
    'warp_mode': r'[\w.]+',  # CameraMotionCompensation of mmdet
    'decode_backend': 'numpy|nifti|cv2',  # LoadBiomedical... of mmseg
    'teacher_config': NOTHING,  # the config of another model, in mmdet
    'attn_implementation': r'\w+',  # transformers fetches and runs others
}
# Keys that must not be there at all, unless they are empty.
EXECUTED = {
    'custom_imports': 'imports modules',
    'sys_path': 'lets mmengine import from a folder',
    'trust_remote_code': 'lets transformers run what lies beside weights',
    'use_kernels': 'lets transformers run what it fetches',
    'weights_only': 'lets transformers unpickle weights',
    'tag_list': 'is unpickled by RAM of mmpretrain',
    'tag_list_chinese': 'is unpickled by RAM of mmpretrain',
}
# Dict -> the key in it by which a program can be named.
PROGRAMS = {'compile': 'options', 'init_kwargs': 'settings'}
# Types that unpickle files of any name.
UNPICKLING = ('OpenImagesChallengeDataset', 'Detectron2Wrapper')
CODE = ('.pkl', '.pickle', '.py')
# Keys of files that are written and not read.
WRITTEN = ('config_save_file', 'out_file_path', 'proposals_file')
DEEPEST = 100  # levels; those of our configs have about 15
LARGEST = 100_000  # values that aliases in YAML may stand for


def read_plain_config(path: str) -> Config:
    """Read a JSON or YAML config and all that it inherits from.

    From then on nothing in this process is unpickled as annotations: the
    keys known to do so are refused here, but a host may have others. Before
    something is built, ``check_registered`` must see the config.

    Args:
        path: Of the config.

    Returns:
        What mmengine makes of such a config, variables in ``{{ }}`` and
        ``_base_`` included.

    Raises:
        UserError: If something in it would be executed, or if it is not
            valid.
    """
    keep_data()
    file = osp.abspath(osp.expanduser(path))
    try:
        entries, text, variables = _read(file, ())
    except RecursionError:
        raise UserError(f'{path} is nested too deeply; its levels must be '
                        f'{DEEPEST} at most') from None
    return Config(entries, cfg_text=text, filename=path,
                  env_variables=variables)


def read_yaml_as_data() -> None:
    """Let mmengine read YAML without the tags that construct objects.

    Why: it does so for the bases of configs, and for annotations.
    When it can go: when mmengine reads by yaml.SafeLoader.
    """
    register_handler(['yaml', 'yml'])(_DataHandler)


def keep_data() -> None:
    """Let mmengine unpickle nothing that a text names.

    Why: annotations may be pickled, by whatever key they are named.
    When it can go: when mmengine can be told not to.
    """
    register_loaders()
    read_yaml_as_data()
    register_handler(['pickle', 'pkl'])(_NoPickleHandler)


class _NoPickleHandler(PickleHandler):

    def load_from_fileobj(self, file: Any, **kwargs: Any) -> NoReturn:
        raise UserError('the config, which is not in Python, names a pickled '
                        'file, which could execute code when it is read; '
                        'convert that file to JSON, or write the config in '
                        'Python, which you then trust as code')


class _DataLoader(yaml.SafeLoader):
    """Plain data, and tuples, which mmengine writes.

    It is the one in Python: that in C overflows the stack where this one
    raises a RecursionError.
    """

    def get_single_data(self) -> Any:
        node = self.get_single_node()
        if node is None:
            return None
        known = {}
        # tenfold in a large file, which aliases may well make larger
        if _size(node, known) > max(LARGEST, 10 * len(known)):
            raise yaml.YAMLError('its aliases stand for too many values')
        return self.construct_document(node)

    def construct_tuple(self, node: yaml.Node) -> tuple:
        return tuple(self.construct_sequence(node, deep=True))


_DataLoader.add_constructor('tag:yaml.org,2002:python/tuple',
                            _DataLoader.construct_tuple)


def _size(node: yaml.Node, known: dict) -> float:
    """How many values there are with all aliases written out."""
    if node not in known:
        known[node] = math.inf  # what a node inside of itself comes to
        children = [] if isinstance(node, yaml.ScalarNode) else node.value
        if isinstance(node, yaml.MappingNode):
            children = [one for pair in children for one in pair]
        known[node] = 1 + sum(_size(one, known) for one in children)
    return known[node]


class _DataHandler(YamlHandler):

    def load_from_fileobj(self, file: Any, **kwargs: Any) -> Any:
        return yaml.load(file, **dict(kwargs, Loader=_DataLoader))


def _read(file: str, inside: Tuple[str, ...]) -> Tuple[dict, str, dict]:
    """The entries of a file, its text, and the environment it used.

    Its variables are texts that mmengine replaces before anything else, so
    that only what comes out can be looked at.

    Args:
        file: Its absolute path.
        inside: The files that inherit from it.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = osp.join(folder, 'config')
        Config._substitute_predefined_vars(file, copy)
        used = Config._substitute_env_variables(copy, copy)
        variables = Config._pre_substitute_base_vars(copy, copy)
        entries = _parse(file, Path(copy).read_text(encoding='utf-8'))
    texts, inherited = [], {}
    for base in _bases(file, entries.pop('_base_', [])):
        if base in (file, *inside):
            raise UserError(f'{file}: its _base_ leads back to {base}; '
                            'remove one of the two')
        more, text, env = _read(base, (file, *inside))
        twice = inherited.keys() & more.keys()
        if twice:
            raise UserError(f'{file}: two files in its _base_ have '
                            f'{", ".join(sorted(twice))}; remove it from one')
        inherited.update(more)
        texts.append(text)
        used.update(env)
    entries = Config._substitute_base_vars(entries, variables, inherited)
    entries = Config._merge_a_into_b(
        {key: value for key, value in entries.items()
         if not str(key).startswith('__')}, inherited)
    for key in entries:
        if not isinstance(key, str) or not key.isidentifier() \
                or keyword.iskeyword(key):
            _refuse(file, _short(key), 'is no name, and so could not stand '
                    'in the copy of the config in the work dir')
    _check(entries, file, '')
    texts.append(f'{file}\n' + Path(file).read_text(encoding='utf-8'))
    return entries, '\n'.join(texts), used


def _parse(file: str, text: str) -> dict:
    try:
        entries = json.loads(text) if file.endswith('.json') else \
            yaml.load(text, Loader=_DataLoader)
    except yaml.constructor.ConstructorError as error:
        problem = error.problem.replace('tag:yaml.org,2002:', '!!')
        _refuse(file, f'line {error.problem_mark.line + 1}',
                f'is no plain data: {problem}')
    except (ValueError, yaml.YAMLError) as error:
        kind = 'JSON' if file.endswith('.json') else 'YAML'
        raise UserError(f'{file} is not valid {kind}: {error}; correct it') \
            from error
    if not isinstance(entries, dict):
        raise UserError(f'{file} holds no entries of a config, but a '
                        f'{type(entries).__name__}; correct it')
    return entries


def _bases(file: str, names: Any) -> list:
    """The absolute paths of the files that a config inherits from."""
    bases = []
    for name in names if isinstance(names, list) else [names]:
        if not isinstance(name, str) or '::' in name \
                or osp.splitext(name)[1] not in PLAIN:
            _refuse(file, '_base_', f'names {name!r}, which is no JSON or '
                    'YAML file')
        base = osp.abspath(osp.join(osp.dirname(file), name))
        if not osp.isfile(base):
            raise UserError(f'{file}: its _base_ {base} does not exist; '
                            'correct the path')
        bases.append(base)
    return bases


def _check(node: Any, file: str, path: str) -> None:
    """Refuse what is no plain data, or would make a library execute it."""
    if path.count('.') > DEEPEST:
        raise RecursionError
    if isinstance(node, dict):
        for key, value in node.items():
            _check_key(key, file, path)
            inner = f'{path}.{key}' if path else str(key)
            _check_entry(key, value, file, inner)
            _check(value, file, inner)
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            _check(value, file, f'{path}.{index}')
    elif isinstance(node, str):
        _check_text(node, file, path)
    elif not isinstance(node, (int, float, type(None))):
        raise UserError(f'{file}: {path} is a {type(node).__name__}, which '
                        'no config has; write it as a text, in quotes')


def _check_key(key: Any, file: str, path: str) -> None:
    """mmengine writes keys into the copy of a config as they are.

    That copy is Python, and is executed where it is used as a config.
    """
    if isinstance(key, str):
        _check_text(key, file, path or 'a key')
    if not isinstance(key, (str, int)) or \
            isinstance(key, str) and repr(key) != f"'{key}'":
        _refuse(file, path or 'the config', f'has the key {_short(key)}, '
                'which is no text without quotes and backslashes')


def _check_text(text: str, file: str, path: str) -> None:
    if '{{' in text:
        _refuse(file, path, f'is {_short(text)}, in which variables would be '
                'replaced once more in the copy of the config in the work '
                'dir')
    if text.endswith(CODE) and path.rpartition('.')[2] not in WRITTEN:
        kind = 'Python' if text.endswith('.py') else 'pickled'
        _refuse(file, path, f'is {_short(text)}, a {kind} file, which could '
                'execute code when it is read')


def _check_entry(key: Any, value: Any, file: str, path: str) -> None:
    if key in PROGRAMS and isinstance(value, dict) \
            and value.get(PROGRAMS[key]):
        _refuse(file, f'{path}.{PROGRAMS[key]}', 'can name programs to run')
    # weights_only is harmless when it is true; the others when they are not
    if key in EXECUTED and bool(value) is not (key == 'weights_only'):
        _refuse(file, path, EXECUTED[key])
    if key not in TEXTS or not isinstance(value, str):
        return
    if not re.fullmatch(TEXTS[key], value):
        kind = {NAME: 'the name of a registered type, such as AdamW or '
                'hpvit_mm.HPViT',
                SCOPE: f'one of {", ".join(SCOPES)}',
                NOTHING: 'written out as a dict'}
        _refuse(file, path, f'is {_short(value)}, which is not '
                + kind.get(TEXTS[key], f'of the form {TEXTS[key]}')
                + ', and so could be executed')
    if key == 'type' and value.rpartition('.')[2] in UNPICKLING:
        _refuse(file, path, f'is {value}, which unpickles a file')


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f'{text[:76]} ...'


def _refuse(file: str, path: str, what: str) -> NoReturn:
    raise UserError(f'{file}: {path} {what}; correct it, or write the config '
                    'in Python, which you then trust as code')
