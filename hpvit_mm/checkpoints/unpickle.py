"""Read pickled files without executing anything in them."""
import pickle
import re
import warnings
from collections import Counter, OrderedDict
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, Optional

import numpy as np
import torch
from torch import Tensor
from torch.serialization import (clear_safe_globals, get_safe_globals,
                                 safe_globals)

ZIP = b'PK\x03\x04'
# Allowed in a checkpoint besides containers.
PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray,
         np.ndarray, np.generic, Tensor, torch.Size, torch.dtype,
         torch.device, torch.layout)


def load_torch_file(path: str, map_location: Any = 'cpu',
                    lazy: bool = True) -> Any:
    """Read a file of ``torch.save`` that holds tensors and plain data.

    Training checkpoints of mmengine and MAE hold a few other objects. Each is
    read as a stand-in, so that no code of another module runs, and becomes
    plain data: loss curves and ``Namespace`` dicts, paths None.

    Raises:
        pickle.UnpicklingError: If the file holds anything else.
        Exception: Of almost any type, if it is damaged.
    """
    with open(path, 'rb') as file:
        is_zip = file.read(len(ZIP)) == ZIP
    with _only_stand_ins(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # about files that are refused anyway
        content = torch.load(path, map_location, weights_only=True,
                             mmap=lazy and is_zip)
    return _plain(content, {})


def load_pickle_file(path: str) -> Any:
    """Read a file of ``pickle.dump``, such as those of detectron2.

    Its numeric arrays become tensors. Raises as :func:`load_torch_file`.
    """
    with open(path, 'rb') as file:
        content = _Unpickler(file, encoding='latin1').load()
    return _plain(content, {}, torch.from_numpy)


class _StandIn:
    """Takes the place of an object; only ``value`` remains of it."""
    value = None

    def __init__(self, *args) -> None:
        pass


class _Namespace(_StandIn):

    def __setstate__(self, state: dict) -> None:
        self.value = dict(state)


class _HistoryBuffer(_StandIn):
    """Stand-in for mmengine's loss curve, without the methods in its state.

    ``PlainCheckpointHook`` writes and reads the same dict.
    """

    def __setstate__(self, state: dict) -> None:
        self.value = dict(
            log_history=state['_log_history'].value.tolist(),
            count_history=state['_count_history'].value.tolist(),
            max_length=int(state['max_length']))


class _DType(_StandIn):
    """Stand-in for a dtype of numbers or strings.

    NumPy's own must not be used: its state can claim that an array of
    objects has none, whereupon NumPy takes bytes of the file for pointers.
    """

    def __init__(self, code: str, *args) -> None:
        if not re.fullmatch(r'[biufcSU][1-9]\d*', code):
            raise pickle.UnpicklingError(f'GLOBAL numpy.dtype({code!r})')
        self.code = code

    def __setstate__(self, state: tuple) -> None:
        self.value = np.dtype(state[1] + self.code)


class _Array(_StandIn):

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        self.value = np.ndarray(shape, dtype.value, data,
                                order='F' if fortran else 'C').copy()


def _scalar(dtype: _DType, data: bytes) -> np.generic:
    return np.ndarray((), dtype.value, data)[()]


def _bytes(text: str = '', encoding: str = '') -> bytes:
    return text.encode('latin1')


def _nothing(*args) -> None:
    """Replace paths, and methods of mmengine's curves (``getattr``)."""


# Name in the file -> stand-in. NumPy 1 and 2, and Python up to and from 3.13,
# have different names for the same.
STAND_INS: Dict[str, Callable] = {
    'argparse.Namespace': _Namespace,
    'builtins.bytes': _bytes,
    'builtins.getattr': _nothing,
    'mmengine.config.config.ConfigDict': dict,
    'mmengine.logging.history_buffer.HistoryBuffer': _HistoryBuffer,
    'numpy.dtype': _DType,
    'numpy.ndarray': _Array,
    **{f'numpy.{core}.multiarray.{name}': one for core in ('core', '_core')
       for name, one in (('_reconstruct', _Array), ('scalar', _scalar))},
    **{f'pathlib.{module}{system}Path': _nothing
       for module in ('', '_local.') for system in ('Posix', 'Windows')},
}


class _Unpickler(pickle.Unpickler):
    """Unpickler that knows the stand-ins by name, and nothing else."""

    def find_class(self, module: str, name: str) -> Callable:
        name = f'{module}.{name}'.replace('__builtin__.', 'builtins.')
        known = {'_codecs.encode': _bytes,
                 'collections.OrderedDict': OrderedDict, **STAND_INS}
        if name not in known:
            raise pickle.UnpicklingError(f'GLOBAL {name}')
        return known[name]


@contextmanager
def _only_stand_ins() -> Iterator[None]:
    """Let ``weights_only`` allow the stand-ins and nothing else.

    Other libraries may have allowed the real ``getattr``, as the forks of
    mmengine do, with which a file can reach ``eval``.
    """
    others = get_safe_globals()
    clear_safe_globals()
    try:
        with safe_globals([(one, name) for name, one in STAND_INS.items()]):
            yield
    finally:
        clear_safe_globals()
        torch.serialization.add_safe_globals(others)


def _plain(value: Any, done: Dict[int, Any],
           convert: Callable = lambda array: array) -> Any:
    """Copy nested containers, with every stand-in replaced by its value.

    ``done`` has results by the identity of their source, because a file can
    hold one object in many places; ``convert`` is for numeric arrays.
    Anything but plain data raises, such as a function.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biufc':
        return convert(value)
    if isinstance(value, PLAIN):
        return value
    if id(value) in done:
        return done[id(value)]
    kind = type(value)
    if isinstance(value, _StandIn):
        result = _plain(value.value, done, convert)
    elif kind in (dict, OrderedDict, Counter):
        result = kind({_plain(key, done): _plain(item, done, convert)
                       for key, item in value.items()})
        if '_metadata' in getattr(value, '__dict__', {}):
            result._metadata = _plain(value._metadata, done)  # state_dict()
    elif kind in (list, tuple, set):
        result = kind(_plain(item, done, convert) for item in value)
    else:
        name = getattr(value, '__qualname__', kind.__qualname__)
        raise pickle.UnpicklingError(f'GLOBAL {name}')
    done[id(value)] = result
    return result


def foreign_name(error: Exception) -> Optional[str]:
    """Return what a file was refused for; None if it is damaged instead."""
    text = str(error)
    found = re.search(r'GLOBAL (\w\S*)', text)  # not that of a cut file
    if found:
        return found[1]
    if 'TorchScript' in text:
        return 'a TorchScript program'
    if 'legacy .tar format' in text:
        return "a tar file of torch's first years"
    if re.search('Can only|Trying to call|Only persistent_load', text):
        return 'pickled objects'
    return None
