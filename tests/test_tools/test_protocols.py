"""k-NN, linear probing and tests of converted models."""
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from hpvit_mm.checkpoints.write import write_checkpoint
from hpvit_mm.models import HPViT

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
SHIPPED = CONFIGS / 'quickstart/vit-mini_sample-imagenet.pth'
MINI = dict(embed_dims=96, num_layers=6, num_heads=3, feedforward_channels=384)
SMALL = '''
_base_ = {base!r}
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=64, edge='short'),
    dict(type='CenterCrop', crop_size=64), dict(type='PackInputs')]
loader = dict(batch_size=16, num_workers=0, persistent_workers=False,
              dataset=dict(data_root={data!r}, pipeline=pipeline,
                           metainfo=dict(classes=tuple('0123456789'))))
work_dir = 'work'
model = dict(backbone=dict(
    arch=dict(_delete_=True, **{arch!r}), stage_depths={depths!r},
    img_size=64, init_cfg=dict(checkpoint={checkpoint!r})))
test_dataloader = loader
test_evaluator = dict(topk=(1, ))
'''
KNN = '''
test_cfg = dict(num_neighbours=5, bank=loader)
'''
LINEAR = '''
model.update(data_preprocessor=dict(num_classes=10),
             neck=dict(input_features=96),
             head=dict(num_classes=10, in_channels=96))
train_dataloader = loader
val_dataloader = loader
val_evaluator = test_evaluator
# LARS scales its steps to the weights: for 60 images take larger ones
optim_wrapper = dict(accumulative_counts=1, optimizer=dict(lr=20.))
param_scheduler = []
train_cfg = dict(max_epochs=20, val_interval=20)
auto_scale_lr = dict(base_batch_size=16)
'''
HEAD = '''
model.update(head=dict(
    num_classes=10, in_channels=96,
    init_cfg=[dict(type='hpvit_mm.PretrainedHead', checkpoint={head!r})]))
'''


@pytest.fixture
def write(tmp_path, sample_data):

    def write(pattern: str, more: str, depths=(1, 1, 3, 1),
              checkpoint=SHIPPED) -> Path:
        base, = CONFIGS.glob(pattern)
        path = tmp_path / 'config.py'
        path.write_text(SMALL.format(
            base=str(base), data=str(sample_data / 'imagenet'), arch=MINI,
            depths=depths, checkpoint=str(checkpoint)) + more)
        return path

    return write


def accuracy(log: str) -> float:
    return float(re.findall(r'accuracy/top1: ([\d.]+)', log)[-1])


@pytest.mark.slow
@pytest.mark.parametrize('pattern, depths', [
    ('imagenet/hpvit-base-avg-mae_knn_in1k.py', (1, 1, 3, 1)),
    ('imagenet/vit-base-mae_knn_in1k.py', (6, ))])
def test_knn(pattern, depths, write, inside):
    """The shipped ViT knows the digits, and keeps that when converted."""
    log = inside('test.py', write(pattern, KNN, depths), '--untrained')
    assert accuracy(log) > 50  # by chance 10
    assert 'Traceback' not in log


def test_knn_in_bfloat16(write, inside, monkeypatch):
    """As by --amp, which needs a GPU."""
    seen = []
    forward = HPViT.forward

    def watched(self, x):
        outs = forward(self, x)
        if not x.is_meta:  # the check before the run
            seen.append(torch.is_autocast_enabled('cpu'))
        return outs

    monkeypatch.setattr(HPViT, 'forward', watched)
    log = inside('test.py',
                 write('imagenet/vit-base-mae_knn_in1k.py', KNN, (6, )),
                 '--untrained', '--cfg-options',
                 'test_cfg.amp_dtype=bfloat16')
    assert accuracy(log) > 50
    assert seen and all(seen)
    assert not torch.is_autocast_enabled('cpu')


@pytest.mark.slow
def test_linear_probing(write, inside, tmp_path):
    config = write('imagenet/hpvit-base-avg-mae_linear-*.py', LINEAR)
    log = inside('train.py', config, '--seed', 0)
    assert accuracy(log) > 50
    state = torch.load(tmp_path / 'work/epoch_20.pth')['state_dict']
    shipped = torch.load(SHIPPED)['model']
    assert torch.equal(state['backbone.blocks.3.attn.qkv.weight'],
                       shipped['blocks.3.attn.qkv.weight'])


@pytest.mark.slow
@pytest.mark.parametrize('pattern, depths', [
    ('imagenet/vit-base-mae-ft_test-only_in1k.py', (6, )),
    ('imagenet/hpvit-base-avg-mae-ft_test-only_in1k.py', (1, 1, 3, 1))])
def test_a_fine_tuned_plain_vit(pattern, depths, write, inside, tmp_path):
    vit = HPViT(MINI, img_size=64, patch_stride=16, stage_depths=(6, ),
                with_cls_token=True)
    tensors = {name.replace('norms.0.', 'fc_norm.'): tensor
               for name, tensor in vit.state_dict().items()}
    tensors['pos_embed'] = torch.cat(
        [tensors.pop('prefix_pos_embed'), tensors['pos_embed']], dim=1)
    tensors.update({'head.weight': torch.randn(10, 96),
                    'head.bias': torch.randn(10)})
    file = tmp_path / 'finetuned.pth'
    write_checkpoint(tensors, file, {}, 'model')
    config = write(pattern, HEAD.format(head=str(file)), depths, file)
    log = inside('test.py', config, '--untrained')
    assert f'Classification head from {file}' in log
    assert 0 <= accuracy(log) <= 100


def test_a_missing_bank(write, tool):
    config = write('imagenet/hpvit-base-avg-mae_knn_in1k.py',
                   KNN + "test_cfg['bank'] = dict(dataset=dict("
                   "data_root='nowhere'))\n")
    status, err = tool('test', config, '--untrained')
    assert status == 2
    assert 'test_cfg.bank.dataset.data_root' in err and 'nowhere' in err


def test_a_bank_of_other_classes(write, tool, tmp_path):
    for name in ('bank/bird', 'bank/cat', 'test/cat', 'test/dog'):
        (tmp_path / name).mkdir(parents=True)
        Image.new('RGB', (64, 64)).save(tmp_path / name / 'a.png')
    config = write('imagenet/hpvit-base-avg-mae_knn_in1k.py', KNN + f"""
folders = dict(_delete_=True, type='CustomDataset', pipeline=pipeline)
test_cfg['bank'] = dict(dataset=dict(
    folders, data_root={str(tmp_path / 'bank')!r}))
test_dataloader = dict(dataset=dict(
    folders, data_root={str(tmp_path / 'test')!r}))
""")
    status, err = tool('test', config, '--untrained')
    assert status == 2 and err.count('\n') == 1
    assert 'class folders' in err and '(bird, cat)' in err


def test_a_missing_head(write, tool, tmp_path):
    config = write('imagenet/vit-base-mae-ft_test-only_in1k.py',
                   HEAD.format(head=str(tmp_path / 'none.pth')), (6, ))
    status, err = tool('test', config, '--untrained')
    assert status == 2 and 'none.pth does not exist' in err
