"""Train, resume and test tiny experiments of the three libraries."""
import json
import pickle
import re

import pytest
import torch
from tiny_experiments import newest

KINDS = ('classification', 'detection', 'segmentation')
# in this process, whose end does not end workers
HERE = [f'{one}_dataloader.persistent_workers=False' for one in
        ('train', 'val')]
LONGER = dict(classification=['train_cfg.max_epochs=2', *HERE],
              detection=['train_cfg.max_epochs=2'],
              segmentation=['train_cfg.max_iters=4'])
# DataLoader workers exist at the end, and must end, too
PERSISTENT = '''
for one in train_dataloader, val_dataloader, test_dataloader:
    one.update(num_workers=1, persistent_workers=True)
del one
'''
# the metric that must be there
METRICS = dict(classification='accuracy/top1', detection='coco/segm_mAP',
               segmentation='mIoU')
FEW = ['--cfg-options', 'test_dataloader.dataset.indices=3']


@pytest.mark.slow
@pytest.mark.parametrize('kind', KINDS)
def test_train_resume_test(kind, write_config, run, inside, tmp_path):
    """One of them begins in a process of its own, as users start it."""
    own = kind == 'classification'
    config = write_config(kind, PERSISTENT if own else '')
    work = tmp_path / 'work'
    log = (run if own else inside)(
        'train.py', config, '--seed', 3, '--cfg-options',
        'default_hooks.logger.interval=1')
    check_quiet(log)
    first = newest(work)
    check_plain(first)
    length = len(torch.load(first)['message_hub']['log_scalars']
                 ['train/loss']['log_history'])
    dump = (work / f'{kind}.py').read_text()

    # resumed though the pointer is wrong
    (work / 'last_checkpoint').write_text('/elsewhere/gone.pth')
    log = inside('train.py', config, '--resume', '--seed', 3, '--allow-drift',
                 '--cfg-options', *LONGER[kind],
                 'default_hooks.logger.interval=1')
    assert 'resumed epoch' in log
    check_quiet(log)
    second = newest(work)
    assert second != first
    check_plain(second)
    assert len(torch.load(second)['message_hub']['log_scalars']
               ['train/loss']['log_history']) == 2 * length
    # the copy of the first run's config is still there
    assert (work / f'{kind}.py').read_text() == dump
    assert (work / f'{kind}_2.py').exists()

    log = inside('test.py', config, second, '--out', 'metrics.json',
                 '--show-dir', 'images', *FEW)
    check_quiet(log)
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert metrics[METRICS[kind]] >= 0
    assert len(list((tmp_path / 'images').iterdir())) == 3


def check_plain(path):
    """Torch finds nothing in the file that it would not load."""
    assert not torch.serialization.get_unsafe_globals_in_checkpoint(path)


def check_quiet(log):
    """No line about which a user can do nothing."""
    lines = [line for line in log.splitlines()
             if re.search('warn', line, re.IGNORECASE)]
    # these were asked for
    lines = [line for line in lines if not re.search(
        '--allow-drift allows|goes on to|random weights', line)]
    assert not lines, lines


@pytest.mark.parametrize('kind', KINDS)
def test_augmented_test(kind, trained, inside, tmp_path):
    """Of a trained checkpoint, with an option for the metric."""
    config, checkpoint = trained(kind)
    option = dict(classification='test_evaluator.prefix=mine',
                  detection='test_evaluator.classwise=True',
                  segmentation='test_evaluator.prefix=mine')[kind]
    inside('test.py', config, checkpoint, '--tta', '--out', 'all.pkl',
           '--work-dir', 'work', *FEW, option)
    predictions = pickle.loads((tmp_path / 'all.pkl').read_bytes())
    assert len(predictions) == 3
    if kind == 'classification':
        assert predictions[0]['pred_score'].shape == (10, )


@pytest.mark.slow
@pytest.mark.parametrize('kind', [
    pytest.param('classification', marks=pytest.mark.faults), *KINDS[1:]])
def test_augmented_test_in_two_processes(kind, trained, inside, forks,
                                         tmp_path):
    config, checkpoint = trained(kind)
    results = []
    for call, out in (inside, 'one.json'), (forks, 'two.json'):
        call('test', config, checkpoint, '--tta', '--work-dir', 'work',
             '--out', out, *FEW)
        results.append(json.loads((tmp_path / out).read_text()))
    assert results[0] == results[1]


def test_augmented_test_of_another_model(trained, tool):
    config, checkpoint = trained('segmentation')
    status, err = tool('test', config, checkpoint, '--tta', '--cfg-options',
                       'model.decode_head.channels=8')
    assert status == 2 and 'does not fit the model' in err


TWO_SETS = """
one = dict(
    type='ImageNet', data_root=test_dataloader['dataset']['data_root'],
    split='val', pipeline={{_base_.test_pipeline}}, metainfo=dict(
        classes={{_base_.classes}}))
test_dataloader.update(dataset=dict(
    _delete_=True, type='ConcatDataset', datasets=[one, one]))
test_evaluator = dict(
    _delete_=True, type='mmengine.Evaluator', metrics=dict(type='Accuracy'))
del one
"""


def test_augmented_test_of_two_sets(write_config, inside, tmp_path):
    """With an evaluator of the library instead of its metrics."""
    config = write_config('classification', TWO_SETS)
    inside('test.py', config, '--untrained', '--tta', '--out', 'all.pkl')
    assert len(pickle.loads((tmp_path / 'all.pkl').read_bytes())) == 40


OWN_DATA = """
custom_imports = dict(imports=['own_data'])
for one in train_dataloader, val_dataloader, test_dataloader:
    one['dataset'] = dict(_delete_=True, type='OwnData')
del one
"""


def test_a_dataset_of_torch(write_config, inside, tmp_path, monkeypatch):
    """A data set without metainfo, files and pipeline trains."""
    (tmp_path / 'own_data.py').write_text("""
import torch
from mmengine.registry import DATASETS
from mmpretrain.structures import DataSample


@DATASETS.register_module()
class OwnData(torch.utils.data.Dataset):

    def __len__(self):
        return 9

    def __getitem__(self, index):
        return dict(inputs=torch.zeros(3, 32, 32, dtype=torch.uint8),
                    data_samples=DataSample().set_gt_label(index))
""")
    monkeypatch.syspath_prepend(tmp_path)
    inside('train.py', write_config('classification', OWN_DATA))
    assert newest(tmp_path / 'work')


def test_label_maps(trained, inside, tmp_path):
    config, checkpoint = trained('segmentation')
    inside('test.py', config, checkpoint, '--out', 'maps', '--work-dir',
           'work', *FEW)
    assert len(list((tmp_path / 'maps').glob('*.png'))) == 3


def test_no_validation(write_config, inside, tmp_path):
    """Options about validation have no effect then."""
    inside('train.py', write_config('segmentation'), '--no-validate',
           '--cfg-options', 'val_dataloader.dataset.data_root=/none')
    assert newest(tmp_path / 'work')


def test_a_mistake_leaves_nothing(write_config, inside, tmp_path):
    """The whole output is the sentence."""
    config = write_config('classification')
    log = inside('train.py', config, '--cfg-options',
                 'model.backbone.window_sice=7', status=2)
    assert log.startswith('error: ') and log.count('\n') == 1
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        'classification.py', 'work']
    assert not list((tmp_path / 'work').iterdir())
