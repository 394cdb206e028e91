"""Publishing checkpoints, and telling what one is."""
import hashlib
import json
import os

import pytest
import torch
from safetensors import safe_open

from hpvit_mm.checkpoints import load_pretrained, read_checkpoint
from hpvit_mm.checkpoints.convert import convert
from hpvit_mm.checkpoints.describe import describe
from hpvit_mm.checkpoints.publish import publish
from hpvit_mm.checkpoints.write import replacing
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

ARCH = dict(embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64)


def hpvit(**kwargs) -> HPViT:
    return HPViT(**dict(dict(arch=ARCH, stage_depths=(1, 1, 1, 1),
                             img_size=64), **kwargs))


@pytest.fixture
def training(tmp_path):
    """A training checkpoint as mmengine writes it, and its weights."""
    weights = {f'backbone.{name}': tensor
               for name, tensor in hpvit().state_dict().items()}
    weights['head.weight'] = torch.randn(3, 32)
    path = tmp_path / 'epoch_3.pth'
    torch.save(dict(
        state_dict=weights, optimizer=dict(state={0: torch.ones(1000)}),
        message_hub=dict(log_scalars={}),
        meta=dict(epoch=3, iter=30, cfg='import os', seed=1,
                  dataset_meta=dict(classes=('cat', 'dog')))), path)
    return path, weights


def test_published_files_have_the_weights_and_a_plain_record(
        training, tmp_path):
    path, weights = training
    files = publish(path, tmp_path / 'out' / 'hpvit')
    assert [one.suffix for one in files] == ['.pth', '.safetensors']
    for one in files:
        digest = hashlib.sha256(one.read_bytes()).hexdigest()[:8]
        assert one.stem == f'hpvit-{digest}'
        content = read_checkpoint(one)
        assert set(content) == {'state_dict', 'meta'}
        assert set(content['state_dict']) == set(weights)
        assert all(torch.equal(tensor, weights[name])
                   for name, tensor in content['state_dict'].items())
        load_pretrained(hpvit(), one)
    record = torch.load(files[0])['meta']
    assert record['dataset_meta'] == dict(classes=('cat', 'dog'))
    assert record['epoch'] == 3 and record['source'] == 'epoch_3.pth'
    assert not {'cfg', 'seed'} & set(record)
    with safe_open(files[1], 'pt') as file:
        assert json.loads(file.metadata()['hpvit_mm'])['iter'] == 30
    assert sorted(os.listdir(tmp_path / 'out')) == sorted(
        one.name for one in files)


def test_nothing_is_overwritten(training, tmp_path):
    path, _ = training
    files = publish(path, tmp_path / 'hpvit')
    with pytest.raises(UserError, match='--force'):
        publish(path, tmp_path / 'hpvit')
    assert publish(path, tmp_path / 'hpvit', force=True) == files


def test_a_file_without_weights(tmp_path):
    torch.save({'meta': {'epoch': 1}}, tmp_path / 'x.pth')
    with pytest.raises(UserError, match='no weights'):
        publish(tmp_path / 'x.pth', tmp_path / 'out')
    assert os.listdir(tmp_path) == ['x.pth']


def test_a_training_checkpoint_is_described(training):
    path, weights = training
    found = describe(path)
    assert found['training'] == dict(epoch=3, iter=30)
    assert found['tensors'] == len(weights)
    assert found['parameters'] == sum(t.numel() for t in weights.values())
    assert found['bytes'] == path.stat().st_size
    assert found['encoder']['family'] == 'HPViT'
    assert found['encoder']['stages'] == 4
    assert found['entries']['optimizer'] == 'dict of 1'
    assert json.loads(json.dumps(found)) == found


def test_the_arguments_told_are_those_that_load(training, tmp_path):
    path, _ = training
    plain = hpvit(stage_depths=(4, ), patch_stride=16, with_cls_token=True)
    torch.save(plain.state_dict(), tmp_path / 'own.pth')
    from hpvit_mm.checkpoints.export import export
    export(tmp_path / 'own.pth', tmp_path / 'mae.pth', 'mae')
    encoder = describe(tmp_path / 'mae.pth')['encoder']
    assert encoder['grid'] == [4, 4]
    assert encoder['prefix_tokens'] == dict(cls_token=1)
    model = HPViT(**encoder['backbone'], stage_depths=(4, ), patch_stride=16)
    load_pretrained(model, tmp_path / 'mae.pth')
    convert(tmp_path / 'mae.pth', tmp_path / 'c.pth', stage_depths=(2, 2))
    model = HPViT(**describe(tmp_path / 'c.pth')['encoder']['backbone'])
    assert load_pretrained(model, tmp_path / 'c.pth').new == {}


def test_what_is_no_vit_is_described_too(tmp_path):
    torch.save({'conv1.weight': torch.ones(2)}, tmp_path / 'cnn.pth')
    found = describe(tmp_path / 'cnn.pth')
    assert found['encoder'] is None
    assert 'no family' in found['problem']
    assert found['dtypes'] == dict(float32=1)


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(UserError, match='cannot be written'):
        with replacing(tmp_path / 'file/x.pth'):
            pass
    assert (tmp_path / 'file').read_text() == 'mine'
