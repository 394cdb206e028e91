"""Apply the flags of a tool to a config file."""
import difflib
import itertools
import os.path as osp
import re
from argparse import Namespace
from pathlib import Path
from typing import Any, List, Optional

import torch
from mmengine.config import Config, ConfigDict

from hpvit_mm.errors import UserError

from . import outputs, survival
from .checks.options import check_options

DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# The optimizer wrapper for each low precision; mmengine's default is float16.
MIXED = dict(
    float16='AmpOptimWrapper', bfloat16='hpvit_mm.BFloat16OptimWrapper')


class RunConfig(Config):
    """A config whose text is formatted once.

    A run asks for it five times, and each time yapf takes about a second.
    """
    _formatted = ('', '')  # the content that was formatted last, and its text

    @property
    def pretty_text(self) -> str:
        content = repr(dict(self.items()))
        if RunConfig._formatted[0] != content:
            RunConfig._formatted = content, super().pretty_text
        return RunConfig._formatted[1]


def training_config(args: Namespace) -> Config:
    """Return the config of tools/train.py with all flags applied."""
    cfg = load_config(args.config)
    _set_common(cfg, args)
    if args.amp or args.amp_dtype:
        set_amp(cfg, args.amp, args.amp_dtype)
    if args.auto_scale_lr:
        cfg.setdefault('auto_scale_lr', ConfigDict())['enable'] = True
    if args.seed is not None:
        cfg.setdefault('randomness', ConfigDict())['seed'] = args.seed
    merge_options(cfg, args.cfg_options)
    if args.no_validate:  # after the options, which may be about validation
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    settle(cfg)
    survival.ensure(cfg)
    if args.allow_drift:
        cfg.default_hooks.record.allow_drift = True
    if args.max_corrupt:
        cfg.train_cfg.max_corrupt = args.max_corrupt
    check_amp(cfg, args.amp)
    check_auto_scale_lr(cfg)
    return cfg


def test_config(args: Namespace) -> Config:
    """Return the config of tools/test.py with all flags applied."""
    cfg = load_config(args.config)
    _set_common(cfg, args)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    for key in ('runner_type', 'strategy'):  # for training only
        cfg.pop(key, None)
    if args.show_dir:
        outputs.set_show_dir(cfg, args.show_dir, args.tta)
    merge_options(cfg, args.cfg_options)
    if args.out:  # after the options, which name the evaluator's entries
        outputs.set_out(cfg, args.out)
    if args.tta:
        outputs.set_tta(cfg)  # last, because it moves the model's entries
    settle(cfg)
    survival.ensure_tested(cfg)
    if args.amp or args.amp_dtype:
        set_test_amp(cfg, args.amp, args.amp_dtype)
    name_copy(cfg, Path(args.config).stem + '_test')
    return cfg


def load_config(path: str) -> RunConfig:
    """Read a config file, which is executed as Python.

    Raises:
        UserError: If the file does not exist, is not Python, or fails.
    """
    if Path(path).suffix != '.py':
        raise UserError(f'the config {path} is not a Python file; name one '
                        'that ends in .py')
    if not osp.isfile(path):
        raise UserError(f'the config {path} does not exist'
                        + _similar_config(Path(path)))
    try:
        cfg = Config.fromfile(path)
    except SyntaxError as error:
        raise UserError(f'the config {path} is not valid Python: {error}; '
                        'correct that line') from error
    except PermissionError as error:
        raise UserError(f'the config {path} needs {error.filename}, which '
                        'cannot be read: check its permissions') from error
    except FileNotFoundError as error:
        raise UserError(f'the config {path} needs a file that does not '
                        f'exist: {error}; correct its _base_') from error
    except Exception as error:
        text = f'{type(error).__name__}: {error}'.rstrip(': ')
        raise UserError(f'the config {path} cannot be read: {text}; correct '
                        'the file') from error
    _drop_scope(list(cfg.values()))
    # Config sets entries by its own __setattr__
    object.__setattr__(cfg, '__class__', RunConfig)
    return cfg


def _drop_scope(entry: Any) -> None:
    """Drop the scope that mmengine sets for ``_base_ = 'hpvit_mm::...'``.

    The hosts' classes would be looked up in it; ours have it in their names.
    """
    if isinstance(entry, dict):
        if entry.get('_scope_') == 'hpvit_mm':
            del entry['_scope_']
        for one in entry.values():
            _drop_scope(one)
    elif isinstance(entry, (list, tuple)):
        for one in entry:
            _drop_scope(one)


def _similar_config(path: Path) -> str:
    names = [file.name for file in path.parent.glob('*.py')]
    similar = difflib.get_close_matches(path.name, names, n=1)
    if similar:
        return f'; did you mean {path.parent / similar[0]}?'
    return '; give the path of a config file, such as those in configs/'


def _set_common(cfg: Config, args: Namespace) -> None:
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = osp.join('work_dirs', Path(args.config).stem)
    if cfg.get('default_scope') == 'mmpretrain':
        set_mmpretrain_loading(cfg)


def set_mmpretrain_loading(cfg: Config) -> None:
    """Set the DataLoader arguments that mmpretrain's own tools set.

    Its configs omit them, and its models need stacked images.
    """
    for name in DATALOADERS:
        if cfg.get(name):
            loader = dict(
                pin_memory=True, persistent_workers=True,
                collate_fn=dict(type='default_collate'))
            loader.update(cfg[name])
            cfg[name] = ConfigDict(loader)


def set_amp(cfg: Config, amp: bool, dtype: Optional[str]) -> None:
    """Use an optimizer wrapper for mixed precision."""
    wrapper = cfg.get('optim_wrapper') or {}
    kind = wrapper.get('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', *MIXED.values()):
        raise UserError(
            f'--amp replaces an OptimWrapper, but optim_wrapper.type of the '
            f'config is {kind}; omit --amp or change the config')
    if not amp and kind == 'OptimWrapper':
        raise UserError(
            f'--amp-dtype {dtype} has no effect in full precision; '
            'add --amp or omit it')
    if dtype or kind == 'OptimWrapper':
        wrapper['type'] = MIXED[dtype or 'float16']
        wrapper.pop('dtype', None)  # of an AmpOptimWrapper before
        if dtype == 'bfloat16':
            wrapper.pop('loss_scale', None)


def set_test_amp(cfg: Config, amp: bool, dtype: Optional[str]) -> None:
    """Test in mixed precision."""
    if not amp:
        raise UserError(
            f'--amp-dtype {dtype} has no effect in full precision; '
            'add --amp or omit it')
    if not torch.cuda.is_available():
        raise UserError('--amp needs a GPU, and torch finds none; omit it')
    cfg.test_cfg.amp_dtype = dtype or 'float16'


def check_amp(cfg: Config, amp: bool) -> None:
    """Check that the device supports the low precision.

    On a CPU a config may ask for bfloat16, which is slow there.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    kind = wrapper.get('type')
    if (amp or kind == MIXED['float16']) and not torch.cuda.is_available():
        raise UserError(
            'mixed precision (--amp, or AmpOptimWrapper in the config) needs '
            'a GPU, and torch finds none; omit --amp, or set '
            'optim_wrapper.type to OptimWrapper')
    low = kind == MIXED['bfloat16'] or wrapper.get('dtype') == 'bfloat16'
    # emulated, it is slower than float32
    if low and torch.cuda.is_available() and \
            not torch.cuda.is_bf16_supported(including_emulation=False):
        raise UserError('this GPU does not compute in bfloat16; use '
                        '--amp-dtype float16')


def check_auto_scale_lr(cfg: Config) -> None:
    """Check that the config has what --auto-scale-lr needs."""
    scaling = cfg.get('auto_scale_lr') or {}
    if not scaling.get('enable'):
        return
    if not scaling.get('base_batch_size'):
        raise UserError(
            '--auto-scale-lr needs auto_scale_lr.base_batch_size in the '
            'config, the batch size for which its learning rate was chosen; '
            'add it, or omit the flag')
    wrapper = cfg.get('optim_wrapper') or {}
    if 'lr' not in (wrapper.get('optimizer') or {}):
        raise UserError(
            '--auto-scale-lr needs optim_wrapper.optimizer.lr in the config, '
            'the learning rate to scale; add it, or omit the flag')


def merge_options(cfg: Config, options: dict) -> None:
    """Check --cfg-options and apply them."""
    check_options(cfg, options)
    for option in options:
        _make_room(cfg, option.split('.')[:-1])
    try:
        cfg.merge_from_dict(options)
    except (KeyError, TypeError, IndexError, AssertionError) as error:
        raise UserError(f'--cfg-options do not fit the config: {error}') \
            from error


def _make_room(cfg: Config, keys: List[str]) -> None:
    """Replace None by empty dicts on the way to an option."""
    node = cfg
    for key in keys:
        if isinstance(node, (list, tuple)):
            node = node[int(key)]
            continue
        if node.get(key) is None:
            node[key] = ConfigDict()
        node = node[key]


def settle(cfg: Config) -> None:
    """Drop DataLoader arguments that torch refuses or that have no use."""
    for name in DATALOADERS:
        loader = cfg.get(name)
        if not loader:
            continue
        if not loader.get('num_workers'):
            loader.persistent_workers = False  # torch refuses it otherwise
        if not torch.cuda.is_available():
            loader.pin_memory = False  # it speeds up copies to a GPU only


def name_copy(cfg: Config, stem: str) -> None:
    """Choose the file name of the config's copy in the work dir.

    The runner writes it at every start. It must not replace the copy of
    another run or a config file; a resumed run writes its own again.
    """

    def essence(text: str) -> str:
        return re.sub('(?m)^load_from = .*\n', '', text) \
            if cfg.get('resume') else text

    cfg.setdefault('experiment_name', stem)
    text = essence(cfg.pretty_text)
    for number in itertools.count(1):
        name = f'{stem}.py' if number == 1 else f'{stem}_{number}.py'
        path = Path(cfg.work_dir, name)
        if not path.exists() or essence(path.read_text()) == text:
            break
    object.__setattr__(cfg, '_filename', str(path))
