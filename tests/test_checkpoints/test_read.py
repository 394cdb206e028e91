"""Reading checkpoints: safe, lazily, from every kind of source."""
import gc
import hashlib
import json
import pickle
import shutil
import zipfile
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from malicious_files import CASES, NAMES, READ
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from hpvit_mm.checkpoints import read_checkpoint
from hpvit_mm.engine import PlainCheckpointHook
from hpvit_mm.errors import UserError


@pytest.fixture
def tensors():
    return dict(a=torch.randn(3, 4), b=torch.arange(5))


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(one[name], other[name]) for name in one)


# ---------------------------------------------------------- kinds of files


@pytest.mark.parametrize('name', ['a.pth', 'a'])
@pytest.mark.parametrize('new', [True, False])
def test_files_of_torch(name, new, tensors, tmp_path):
    torch.save(tensors, tmp_path / name, _use_new_zipfile_serialization=new)
    assert same(read_checkpoint(tmp_path / name), tensors)
    assert same(read_checkpoint(str(tmp_path / name), lazy=False), tensors)


def test_safetensors_are_known_by_their_content(tensors, tmp_path):
    save_file(tensors, tmp_path / 'a.pth', dict(format='pt'))
    content = read_checkpoint(tmp_path / 'a.pth')
    assert same(content['state_dict'], tensors)
    assert content['meta'] == dict(format='pt')


@pytest.mark.parametrize('protocol', [2, 4])
def test_files_of_pickle(protocol, tensors, tmp_path):
    """As those of detectron2: arrays, not tensors."""
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    text = np.array(['a'])
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(
        dict(model=OrderedDict(arrays), text=text, other=b'x'), protocol))
    content = read_checkpoint(tmp_path / 'a.pkl')
    assert same(content['model'], tensors)
    assert content['text'] == text and content['other'] == b'x'


def resident():
    """Memory of this process that no file backs, in bytes."""
    gc.collect()
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('RssAnon'):
            return int(line.split()[1]) * 1024


@pytest.mark.parametrize('kind', ['pth', 'safetensors'])
def test_large_files_are_mapped(kind, tmp_path):
    path = tmp_path / f'large.{kind}'
    large = dict(a=torch.ones(10_000_000))  # 40 MB
    if kind == 'pth':
        torch.save(large, path)
    else:
        save_file(large, path)
    del large
    before = resident()
    content = read_checkpoint(path)
    tensor = content.get('state_dict', content)['a']
    assert tensor.sum() == 10_000_000
    assert resident() - before < 10_000_000
    # what is written to a tensor does not go to the file
    tensor[0] = 2
    assert read_checkpoint(path).get('state_dict', content)['a'].max() <= 2
    tensor = read_checkpoint(path)
    assert tensor.get('state_dict', tensor)['a'].max() == 1


# --------------------------------------------------- more than plain tensors


def test_training_checkpoints_of_mae(tensors, tmp_path):
    args = Namespace(lr=1., output_dir=Path('/a'), nested=Namespace(x=[1]))
    torch.save(dict(model=tensors, args=args), tmp_path / 'mae.pth')
    content = read_checkpoint(tmp_path / 'mae.pth')
    assert same(content['model'], tensors)
    assert content['args'] == dict(lr=1., output_dir=None,
                                   nested=dict(x=[1]))


def test_what_mmengine_puts_into_checkpoints(tmp_path):
    state = OrderedDict(weight=torch.ones(2))
    state._metadata = OrderedDict({'': dict(version=2)})
    curve = HistoryBuffer([3., 2.], [1, 1])
    arrays = [np.eye(2, 3), np.eye(2, 3).T, np.arange(4, dtype='>i2'),
              np.array([]), np.array(['a', 'bcd']), np.array(True),
              np.array([1j])]
    scalars = [np.float64(.5), np.int32(3), np.bool_(True), np.str_('x')]
    torch.save(dict(
        state_dict=state, message_hub=dict(log_scalars=dict(loss=curve)),
        meta=dict(cfg=ConfigDict(a=[ConfigDict(b=(1, ))]), empty=b'')),
        tmp_path / 'a.pth')
    torch.save(dict(arrays=arrays, scalars=scalars), tmp_path / 'b.pth')
    content = read_checkpoint(tmp_path / 'a.pth')
    assert content['state_dict']._metadata == {'': dict(version=2)}
    assert content['message_hub']['log_scalars']['loss'] == dict(
        log_history=[3., 2.], count_history=[1, 1], max_length=1000000)
    assert content['meta'] == dict(cfg=dict(a=[dict(b=(1, ))]), empty=b'')
    assert type(content['meta']['cfg']) is dict
    PlainCheckpointHook().after_load_checkpoint(None, content)
    loss = content['message_hub']['log_scalars']['loss']
    assert isinstance(loss, HistoryBuffer) and loss.current() == 2
    content = read_checkpoint(tmp_path / 'b.pth')
    for one, other in zip(content['arrays'], arrays):
        assert one.dtype == other.dtype and np.array_equal(one, other)
    for one, other in zip(content['scalars'], scalars):
        assert type(one) is type(other) and one == other


def test_one_thing_in_many_places(tmp_path):
    """As deep as the containers, not as many as the paths through them."""
    value = [1]
    for _ in range(50):
        value = [value, value]
    torch.save(dict(x=value), tmp_path / 'a.pth')
    value = read_checkpoint(tmp_path / 'a.pth')['x']
    assert value[0] is value[1]


# -------------------------------------------------------------- malicious


@pytest.mark.parametrize('write, outcome', CASES, ids=NAMES)
@pytest.mark.parametrize('allow', [False, True], ids=['', 'getattr allowed'])
def test_nothing_is_executed(write, outcome, allow, tmp_path, monkeypatch):
    write(tmp_path / 'evil', tmp_path / 'executed')
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    methods = dict(HistoryBuffer._statistics_methods)
    # as onedl-mmengine does while it reads a file
    with torch.serialization.safe_globals(
            [getattr, HistoryBuffer] if allow else []):
        if outcome == READ:
            content = read_checkpoint(tmp_path / 'evil')
            content.get('x'), content['state_dict']
        else:
            with pytest.raises(UserError) as error:
                read_checkpoint(tmp_path / 'evil')
            assert outcome in str(error.value)
    assert not (tmp_path / 'executed').exists()
    assert HistoryBuffer._statistics_methods == methods


def test_what_others_allow_stays_allowed(tensors, tmp_path):
    torch.save(tensors, tmp_path / 'a.pth')
    (tmp_path / 'b.pth').write_bytes(b'\x80\x02x')
    before = torch.serialization.get_safe_globals()
    with torch.serialization.safe_globals([Namespace]):
        read_checkpoint(tmp_path / 'a.pth')
        with pytest.raises(UserError):
            read_checkpoint(tmp_path / 'b.pth')
        assert Namespace in torch.serialization.get_safe_globals()
    assert set(torch.serialization.get_safe_globals()) == set(before)


# --------------------------------------------------------------- bad input


def cyclic():
    value = []
    value.append(value)
    return dict(x=value)


def truncated(path):
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])


BAD = [
    (b'', 'is empty'),
    (b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n',
     'git lfs pull'),
    (b'\n <HTML lang="\xe9">', 'is a web page'),
    (b'{"model": 1}', 'is a text file'),
    (b'\x80\x04\x95\x00\x00', 'damaged'),
    (b'PK\x03\x04' + bytes(100), 'damaged'),
    (bytes(range(256)), 'damaged'),
    (b'\x40' + bytes(7) + b'{' + b'\xff' * 100, 'damaged'),
    (pickle.dumps([1]), 'holds a list'),
    (pickle.dumps(dict(a=torch.ones(1))), r'\(torch._utils._rebuild'),
    (pickle.dumps(dict(a=frozenset())), r'more than.*frozenset'),
]


@pytest.mark.parametrize('content, says', BAD)
def test_files_that_are_none(content, says, tmp_path):
    name = 'a.pth'
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=says) as error:
        read_checkpoint(tmp_path / name)
    text = str(error.value)
    assert name in text and '\n' not in text and len(text) < 400 + len(
        str(tmp_path))


@pytest.mark.parametrize('new', [True, False])
def test_truncated_files(new, tensors, tmp_path):
    torch.save(tensors, tmp_path / 'a.pth', _use_new_zipfile_serialization=new)
    save_file(tensors, tmp_path / 'a.safetensors')
    for name in ('a.pth', 'a.safetensors'):
        truncated(tmp_path / name)
        with pytest.raises(UserError, match='damaged'):
            read_checkpoint(tmp_path / name)


def test_a_flipped_bit(tensors, tmp_path):
    """torch itself reads such a file without an error."""
    path = tmp_path / 'a.pth'
    torch.save(tensors, path)
    content = bytearray(path.read_bytes())
    content[content.index(tensors['a'].numpy().tobytes())] ^= 4
    path.write_bytes(content)
    with pytest.raises(UserError, match='a.pth is damaged.*checksum'):
        read_checkpoint(path)
    assert 'a' in read_checkpoint(path, verify=False)


def test_files_without_checksums(tensors, tmp_path):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(tensors, tmp_path / 'a.pth')
    finally:
        torch.serialization.set_crc32_options(before)
    assert same(read_checkpoint(tmp_path / 'a.pth'), tensors)


@pytest.mark.parametrize('content, says', [
    ([1, 2], 'holds a list'), (torch.ones(1), 'holds a Tensor'),
    ({}, 'an empty dict'),
    (torch.nn.Linear(1, 1), r'\(torch.nn.modules.linear.Linear\)'),
    (cyclic(), 'damaged'),
    (dict(x=torch.ones(1).untyped_storage()), r'\(TypedStorage\)'),
])
def test_contents_that_are_no_checkpoint(content, says, tmp_path):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(UserError, match=says):
        read_checkpoint(tmp_path / 'a.pth')


@pytest.mark.parametrize('name, says', [
    ('missing.pth', 'no checkpoint file'), ('', 'not one of Hugging Face'),
    ('s3://bucket/a.pth', 'not a URL')])
def test_wrong_names(name, says, tmp_path):
    path = name if '://' in name else tmp_path / name
    with pytest.raises(UserError, match=says):
        read_checkpoint(path)


def test_sizes_that_lie(tmp_path):
    """A file must not make us take more memory than it has bytes."""
    torch.save(dict(a=torch.ones(100)), tmp_path / 'a.pth')
    small, huge = b'K\x64', b'\x8a\x06' + (10**13).to_bytes(6, 'little')
    with zipfile.ZipFile(tmp_path / 'a.pth') as source, \
            zipfile.ZipFile(tmp_path / 'b.pth', 'w') as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith('data.pkl'):
                assert content.count(small) == 2  # of the storage, the tensor
                content = content.replace(small, huge)
            target.writestr(name, content)
    for lazy in (True, False):
        with pytest.raises(UserError, match='b.pth'):
            read_checkpoint(tmp_path / 'b.pth', lazy=lazy)


def test_sha256(tensors, tmp_path):
    torch.save(tensors, tmp_path / 'a.pth')
    digest = hashlib.sha256((tmp_path / 'a.pth').read_bytes()).hexdigest()
    for given in (digest, digest.upper(), digest[:8]):
        assert same(read_checkpoint(tmp_path / 'a.pth', given), tensors)
    for wrong in ('0' * 64, '0' * 8):
        with pytest.raises(UserError, match='and not 0000'):
            read_checkpoint(tmp_path / 'a.pth', wrong)
    for bad in ('123', 'x' * 64, digest + '0'):
        with pytest.raises(UserError, match='is not a SHA-256'):
            read_checkpoint(tmp_path / 'a.pth', bad)
    with pytest.raises(UserError, match='a folder, which has no SHA-256'):
        read_checkpoint(tmp_path, digest)


# -------------------------------------------------- folders of Hugging Face


@pytest.fixture
def folder(tensors, tmp_path):
    """Writes a folder of Hugging Face; returns its path."""

    def write(kind, shards):
        path = tmp_path / 'model'
        path.mkdir()
        (path / 'config.json').write_text('{"hidden_size": 4}')
        save, whole = {
            'safetensors': (save_file, 'model.safetensors'),
            'bin': (torch.save, 'pytorch_model.bin')}[kind]
        if shards == 1:
            save(tensors, path / whole)
            return path
        names = {key: f'part-{key}.{kind}' for key in tensors}
        for key, name in names.items():
            save({key: tensors[key]}, path / name)
        (path / f'{whole}.index.json').write_text(
            json.dumps(dict(metadata={}, weight_map=names)))
        return path

    return write


@pytest.mark.parametrize('shards', [1, 2])
@pytest.mark.parametrize('kind', ['safetensors', 'bin'])
def test_folders(kind, shards, folder, tensors):
    content = read_checkpoint(folder(kind, shards))
    assert content.keys() == {'state_dict', 'config'}
    assert same(content['state_dict'], tensors)
    assert content['config'] == dict(hidden_size=4)


def test_safetensors_go_first(folder, tensors):
    path = folder('safetensors', 2)
    torch.save(dict(a=torch.zeros(1)), path / 'pytorch_model.bin')
    assert same(read_checkpoint(path)['state_dict'], tensors)


def index(path, **where):
    text = json.dumps(dict(weight_map=where))
    next(path.glob('*.index.json')).write_text(text)


FOLDERS = [
    (lambda p: (p / 'config.json').unlink(), 'has no config.json'),
    (lambda p: (p / 'config.json').write_text('{'), 'cannot be read'),
    (lambda p: (p / 'part-b.safetensors').unlink(),
     'has no part-b.safetensors, which'),
    (lambda p: truncated(p / 'part-b.safetensors'), 'part-b.*damaged'),
    (lambda p: index(p, a='../evil.bin'), "'../evil.bin', which is not"),
    (lambda p: index(p, a='..'), 'has no .., which'),
    (lambda p: index(p, a=3), 'which is not a file of its folder'),
    (lambda p: index(p, c='part-b.safetensors'), 'has no c, which'),
    (lambda p: index(p), 'has no weight_map'),
    (lambda p: shutil.rmtree(p) or p.mkdir(), 'not one of Hugging Face'),
]


@pytest.mark.parametrize('damage, says', FOLDERS)
def test_folders_that_are_none(damage, says, folder):
    path = folder('safetensors', 2)
    damage(path)
    with pytest.raises(UserError, match=says):
        read_checkpoint(path)
