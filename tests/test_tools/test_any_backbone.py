"""A backbone other than HPViT through tools/train.py."""
from pathlib import Path

import pytest
import torch

MODEL = '''
custom_imports = dict(imports=['toy_backbone'])
model.update(backbone=dict(
    _delete_=True, type='hpvit_mm.ToyBackbone', frozen_stages=0{init_cfg}))
model.update(head=dict(in_channels=8),
             neck=dict(type='GlobalAveragePooling'))
'''
TESTS = str(Path(__file__).parents[1])


@pytest.mark.slow
def test_it_trains_and_resumes(write_config, inside, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(TESTS)
    config = write_config('classification', MODEL.format(init_cfg='') + '''
default_hooks = dict(compile=dict(type='hpvit_mm.CompileHook',
                                  backend='eager'))
train_cfg = dict(max_epochs=2, val_interval=2)
''')
    log = inside('train.py', config)
    assert 'Layer-wise learning rate decay' in log
    last = tmp_path / 'work/epoch_2.pth'
    whole = torch.load(last, weights_only=False)['state_dict']
    last.unlink()
    inside('train.py', config, '--resume')
    resumed = torch.load(last, weights_only=False)['state_dict']
    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)


def test_a_checkpoint_of_another_is_refused(write_config, tool, monkeypatch):
    monkeypatch.syspath_prepend(TESTS)
    config = write_config('classification', MODEL.format(
        init_cfg=", init_cfg=dict(type='Pretrained', checkpoint="
        "'configs/quickstart/vit-mini_sample-imagenet.pth')"))
    monkeypatch.chdir(Path(TESTS).parent)
    status, says = tool('train', config)
    assert status == 2 and 'does not fit ToyBackbone' in says
