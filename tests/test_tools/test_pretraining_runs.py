"""From a masked pre-training to a fine-tuning, by the tools."""
import numpy as np
import pytest
import torch
from PIL import Image
from tiny_experiments import ROOT

PRETRAIN = '''
_base_ = {base!r}
work_dir = {work_dir!r}
train_dataloader = dict(
    batch_size=16, num_workers=0, persistent_workers=False,
    dataset=dict(data_root={data!r}))
param_scheduler = []
train_cfg = dict(max_epochs=2)
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=2))
auto_scale_lr = dict(base_batch_size=16)
'''
FINE_TUNING = '''
model.update(backbone=dict(
    arch=dict(embed_dims=96, num_layers=6, num_heads=3,
              feedforward_channels=384), stage_depths=(1, 1, 3, 1),
    init_cfg=dict(type='Pretrained', checkpoint={checkpoint!r})),
    head=dict(in_channels=96))
'''


@pytest.fixture
def config(tmp_path, sample_data):
    """Writes the config of a tiny pre-training."""

    def write(name: str, more: str = '') -> str:
        base, = ROOT.glob(f'configs/pretrain/{name}')
        path = tmp_path / 'pretrain.py'
        path.write_text(PRETRAIN.format(
            base=str(base), data=str(sample_data / 'imagenet'),
            work_dir=str(tmp_path / 'pretrained')) + more)
        return str(path)

    return write


@pytest.mark.slow
def test_it_resumes_and_starts_a_fine_tuning(config, inside, tmp_path,
                                             write_config):
    path = config('mae_vit-mini_*.py')
    inside('train.py', path)
    last = tmp_path / 'pretrained/epoch_2.pth'
    whole = torch.load(last, weights_only=False)['state_dict']
    last.unlink()
    inside('train.py', path, '--resume')
    resumed = torch.load(last, weights_only=False)['state_dict']
    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)
    log = inside('train.py', write_config(
        'classification', FINE_TUNING.format(checkpoint=str(last))))
    assert f'Pre-trained weights from {last}' in log
    image = tmp_path / 'image.png'
    Image.fromarray(np.zeros((80, 50, 3), np.uint8)).save(image)
    inside('reconstruct.py', path, last, image)
    assert Image.open(tmp_path / 'reconstruction.png').size == (3 * 64, 64)


def test_mistakes_are_caught_before_the_run(config, tool):
    status, says = tool('train', config('mae_hpvit-mini_*.py',
                                        'model = dict(mask_ratio=0.9)\n'))
    assert status == 2 and 'leaves 0 of the 4 mask units' in says
    status, says = tool('train', config('mae_vit-mini_*.py', '''
model = dict(backbone=dict(init_cfg=dict(
    type='Pretrained', checkpoint='nowhere.pth')))
'''))
    assert status == 2 and 'nowhere.pth does not exist' in says


def test_images_need_no_labels(config, tool, sample_data):
    images = sample_data / 'imagenet/train'
    status, says = tool('train', config('mae_vit-mini_*.py', f'''
train_dataloader.update(dataset=dict(
    _delete_=True, type='CustomDataset', data_root={str(images)!r},
    with_label=False, pipeline=[dict(type='LoadImageFromFile'),
                                dict(type='Resize', scale=(64, 64)),
                                dict(type='PackInputs')]))
train_cfg = dict(max_epochs=1)
'''))
    assert status == 0, says
