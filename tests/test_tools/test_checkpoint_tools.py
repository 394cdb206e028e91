"""The tools for checkpoints, from the command line."""
import importlib
import json
import os
import sys

import pytest
import torch
from tiny_experiments import ROOT

from hpvit_mm.models import HPViT

ARCH = dict(embed_dims=64, num_layers=2, num_heads=1,
            feedforward_channels=256)


def encoder():
    """The encoder of a plain ViT by MAE's names."""
    model = HPViT(arch=ARCH, stage_depths=(2, ), patch_stride=16, img_size=64)
    tensors = {name.replace('norms.0', 'norm'): tensor
               for name, tensor in model.state_dict().items()}
    tensors['cls_token'] = torch.randn(1, 1, 64)
    tensors['pos_embed'] = torch.randn(1, 17, 64)
    return tensors


@pytest.fixture
def mae(tmp_path, monkeypatch):
    """A file mae.pth in the working directory; returns its tensors."""
    monkeypatch.chdir(tmp_path)
    tensors = encoder()
    torch.save({'model': tensors}, 'mae.pth')
    return tensors


@pytest.fixture
def call(capsys, monkeypatch):
    """Call a tool in this process; return its status, stdout and stderr."""
    monkeypatch.syspath_prepend(ROOT / 'tools')

    def run(name, *argv):
        capsys.readouterr()
        try:
            status = importlib.import_module(name).main(list(argv))
        except SystemExit as end:  # argparse
            status = end.code
        return status, *capsys.readouterr()

    yield run
    for name in [n for n in sys.modules if n.endswith('_checkpoint')]:
        del sys.modules[name]


def test_convert_inspect_publish_and_back(mae, call):
    status, log, _ = call(
        'convert_checkpoint', 'mae.pth', 'hpvit.safetensors',
        '--stage-depths', '1,1', '--patch-stride', '8', '--pooling', 'conv')
    assert status == 0
    for word in ('MAE or timm ViT', 'used       29 tensors',
                 'starts as plain normalisation', 'for the way back',
                 'in a config: model', "checkpoint='hpvit.safetensors'"):
        assert word in log
    log = call('inspect_checkpoint', 'hpvit.safetensors')[1]
    assert "pooling='conv'" in log and 'stage_depths=[1, 1]' in log
    found = json.loads(call('inspect_checkpoint', 'mae.pth', '--json')[1])
    assert found['encoder']['prefix_tokens'] == dict(cls_token=1)
    call('convert_checkpoint', 'hpvit.safetensors', 'back.pth', '--to', 'mae')
    back = torch.load('back.pth')['model']
    assert back.keys() == mae.keys()
    assert all(torch.equal(back[name], mae[name]) for name in mae)
    status, log, _ = call('publish_checkpoint', 'hpvit.safetensors', 'o/vit')
    assert status == 0
    assert all(os.path.isfile(line.split()[0]) for line in log.splitlines())


def test_dry_run(mae, call):
    _, log, _ = call('convert_checkpoint', 'mae.pth', '--dry-run',
                     '--stage-depths', '1,1', '--with-cls-token')
    assert 'MAE or timm ViT' in log and 'nothing was written' in log
    assert os.listdir() == ['mae.pth']


def malicious():

    class Evil:

        def __reduce__(self):
            return os.mkdir, ('executed', )

    torch.save({'model': Evil()}, 'bad.pth')


def truncated():
    content = open('mae.pth', 'rb').read()
    open('bad.pth', 'wb').write(content[:len(content) // 2])


def cnn():
    torch.save({'conv1.weight': torch.ones(8, 3, 7, 7)}, 'bad.pth')


def empty():
    torch.save({'model': {}}, 'bad.pth')


def text():
    open('bad.pth', 'w').write('<html>not found</html>')


@pytest.mark.parametrize('make, says', [
    (malicious, 'execute code'), (truncated, 'copy or download it again'),
    (cnn, 'no patch embedding of a plain ViT'),
    (empty, 'it has no tensors'), (text, 'a web page'),
    (lambda: os.mkdir('bad.pth'), 'is a folder'),
    (lambda: None, 'no checkpoint file bad.pth'),
])
def test_bad_input(mae, call, make, says):
    make()
    before = sorted(os.listdir())
    for argv in (['convert_checkpoint', 'bad.pth', 'out.pth'],
                 ['convert_checkpoint', 'bad.pth', 'out', '--to', 'hf']):
        status, _, err = call(*argv)
        assert status == 2
        assert err.startswith('error: ') and err.count('\n') == 1
        assert says in err
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize('argv, says', [
    (['mae.pth', 'mae.pth'], 'exists and is not overwritten'),
    (['mae.pth', '/proc/out.pth'], 'cannot be written'),
    (['mae.pth', 300 * 'a'], 'cannot be written (File name too long)'),
    (['mae.pth', 'o.pth', '--sha256', '0' * 64], 'has the SHA-256'),
    (['mae.pth', 'o.pth', '--stage-depths', '1,5'], 'sum to'),
    (['mae.pth', 'o.pth', '--patch-stride', '5'], 'does not fit'),
    (['mae.pth', 'o.pth', '--prefix', 'net.'], "behind the prefix 'net.'"),
    (['mae.pth', 'o.pth', '--to', 'timm'], 'takes checkpoints of HPViT'),
    (['http://127.0.0.1:9/x.pth', 'o.pth'], 'by other means'),
])
def test_bad_arguments(mae, call, argv, says, monkeypatch, tmp_path):
    monkeypatch.setattr('torch.hub.get_dir', lambda: str(tmp_path / 'hub'))
    if '--stage-depths' not in argv:
        argv = [*argv, '--stage-depths', '1,1']
    status, _, err = call('convert_checkpoint', *argv)
    assert status == 2
    assert err.splitlines()[-1].startswith('error: ')
    assert says in err
    assert 'o.pth' not in os.listdir()


@pytest.mark.parametrize('argv', [
    ['mae.pth'], ['mae.pth', 'o.pth', '--stage-depths', 'two'],
    ['mae.pth', 'o.pth', '--drop', 'everything']])
def test_command_lines_that_cannot_be_read(mae, call, argv):
    status, _, err = call('convert_checkpoint', *argv)
    assert status == 2 and 'usage' in err
