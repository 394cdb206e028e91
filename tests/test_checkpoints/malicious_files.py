"""Files that execute code when pickle reads them, and what becomes of each.

Each one would make a folder whose name the test gives.
"""
import io
import json
import os
import pickle
import struct
import tarfile
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

READ = 'read'  # nothing is executed, and the plain data are there


class Call:
    """Pickled as the call of a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


class State:
    """Pickled as an object of another class with this state."""

    def __init__(self, function, args, state):
        self.parts = function, args, state

    def __reduce__(self):
        return self.parts


def shell(folder):
    return Call(os.system, f'mkdir {folder}')


def checkpoint(**entries):
    return dict(state_dict=dict(weight=torch.ones(2)), **entries)


def saved(make, **options):
    """Write what ``make`` returns by torch.save."""
    return lambda file, folder: torch.save(make(folder), file, **options)


def pickled(make, protocol=2):
    """Write what ``make`` returns by pickle, without torch."""
    return lambda file, folder: file.write_bytes(
        pickle.dumps(make(folder), protocol))


def getattr_chain(folder):
    """eval, by functions that weights_only allows where getattr is allowed.

    ``_rebuild_from_type_v2`` calls its first argument unchecked.
    """

    def call(function, kind, *args):
        return Call(torch._tensor._rebuild_from_type_v2, function, kind, args,
                    None)

    scope = Call(getattr, torch._utils._rebuild_tensor_v2, '__globals__')
    get = Call(getattr, scope, 'get')
    dictionary = Call(getattr, scope, '__class__')
    names = call(get, dictionary, '__builtins__')
    function = Call(getattr, get, '__class__')
    evaluate = call(Call(getattr, names, 'get'), function, 'eval')
    nothing = Call(getattr, None, '__class__')
    return checkpoint(x=call(
        evaluate, nothing, f'__import__("os").mkdir("{folder}")'))


def pointers(folder):
    """Bytes that NumPy is made to take for pointers to objects."""
    flags_of_bytes = (3, '|', None, None, None, -1, -1, 0)
    dtype = State(np.dtype, ('O8', False, True), flags_of_bytes)
    array = State(np._core.multiarray._reconstruct, (np.ndarray, (0,), b'b'),
                  (1, (1,), dtype, False, b'AAAAAAAA'))
    return checkpoint(x=array)


def curve(**methods):
    """mmengine's loss curve with methods, which it would make its own."""
    history = State(np._core.multiarray._reconstruct, (np.ndarray, (0,), b'b'),
                    np.ones(1).__reduce__()[2])
    return State(HistoryBuffer, (), dict(
        _log_history=history, _count_history=history, max_length=9,
        statistics_methods=methods))


def bytes_of_torch(folder):
    stream = io.BytesIO()
    torch.save(shell(folder), stream)
    return checkpoint(x=Call(torch.storage._load_from_bytes,
                             stream.getvalue()))


def tar_of_old_torch(file, folder):
    with tarfile.open(file, 'w') as tar:
        for name in ('storages', 'tensors', 'pickle'):
            content = pickle.dumps(shell(folder), protocol=2)
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def torchscript(file, folder):
    torch.jit.script(torch.nn.Linear(1, 1)).save(str(file))


def hugging_face(file, folder):
    file.mkdir()
    (file / 'config.json').write_text('{}')
    torch.save(dict(weight=shell(folder)), file / 'pytorch_model.bin')


def safetensors(file, folder):
    """Whose header has what would be executed from a pickled file."""
    header = json.dumps(dict(__metadata__=dict(
        config=f'_ = __import__("os").mkdir("{folder}")'))).encode()
    Path(file).write_bytes(struct.pack('<Q', len(header)) + header)


# (what the file holds, how it is written, what it is refused for, or READ)
MALICIOUS = [
    ('os.system among the weights',
     saved(lambda f: dict(state_dict=dict(w=shell(f)))), '(posix.system)'),
    ('os.system in a Namespace',
     saved(lambda f: checkpoint(args=Namespace(x=shell(f)))),
     '(posix.system)'),
    ('os.system as a name of an attribute',
     saved(lambda f: checkpoint(x=Call(getattr, shell(f), 'a'))),
     '(posix.system)'),
    ('os.system among methods for HistoryBuffer',
     saved(lambda f: checkpoint(x=curve(mean=shell(f)))), '(posix.system)'),
    ('builtins.eval',
     saved(lambda f: Call(eval, f'__import__("os").mkdir("{f}")')), '(eval)'),
    ('torch.storage._load_from_bytes of another file',
     saved(bytes_of_torch), '(torch.storage._load_from_bytes)'),
    ('getattr of what weights_only allows, as far as eval',
     saved(getattr_chain), 'cannot be read as a checkpoint'),
    ('methods for mmengine\'s HistoryBuffer',
     saved(lambda f: checkpoint(x=curve(mean=Call(
         getattr, torch.Tensor, 'sum')))), READ),
    ('an array of NumPy with pointers',
     saved(pointers), "(numpy.dtype('O8'))"),
    ('a function that weights_only allows, left as a value',
     saved(lambda f: checkpoint(x=torch._utils._rebuild_tensor)),
     '(_rebuild_tensor)'),
    ('os.system, pickled by protocol 4',
     saved(lambda f: shell(f), pickle_protocol=4),
     'cannot be read as a checkpoint'),
    ('os.system, in torch\'s format before 1.6',
     saved(lambda f: shell(f), _use_new_zipfile_serialization=False),
     '(posix.system)'),
    ('os.system, in torch\'s tar format',
     tar_of_old_torch, "(a tar file of torch's first years)"),
    ('os.system, pickled without torch',
     pickled(lambda f: dict(x=shell(f)), 4), '(posix.system)'),
    ('getattr as far as eval, pickled without torch',
     pickled(getattr_chain), '(torch._utils._rebuild_tensor_v2)'),
    ('an array of NumPy with pointers, pickled without torch',
     pickled(lambda f: pointers(f)['x'], 4), "(numpy.dtype('O8'))"),
    ('a TorchScript program',
     torchscript, '(a TorchScript program)'),
    ('os.system in pytorch_model.bin of a folder of Hugging Face',
     hugging_face, '(posix.system)'),
    ('the text of a config in meta',
     saved(lambda f: checkpoint(meta=dict(
         config=f'_ = __import__("os").mkdir("{f}")'))), READ),
    ('the text of a config in the header of safetensors',
     safetensors, READ),
]
NAMES = [name for name, *_ in MALICIOUS]
CASES = [case for _, *case in MALICIOUS]
