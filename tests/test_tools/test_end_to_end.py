"""Train, resume and test tiny experiments of the three libraries."""
import json
import pickle
import re

import pytest
import torch

LONGER = dict(classification='train_cfg.max_epochs=2',
              detection='train_cfg.max_epochs=2',
              segmentation='train_cfg.max_iters=4')
# processes that load data are there at the end, and must end, too
PERSISTENT = '''
for one in train_dataloader, val_dataloader, test_dataloader:
    one.update(num_workers=1, persistent_workers=True)
del one
'''
# the metric that must be there
METRICS = dict(classification='accuracy/top1', detection='coco/segm_mAP',
               segmentation='mIoU')


@pytest.mark.slow
@pytest.mark.parametrize('kind', LONGER)
def test_train_resume_test(kind, write_config, run, tmp_path):
    config = write_config(kind, PERSISTENT)
    work = tmp_path / 'work'
    log = run('train.py', config, '--seed', 3, '--cfg-options',
              'default_hooks.logger.interval=1')
    check_quiet(log)
    first = newest(work)
    check_plain(first)
    length = len(torch.load(first)['message_hub']['log_scalars']
                 ['train/loss']['log_history'])
    dump = (work / f'{kind}.py').read_text()

    # resumed though the pointer is wrong, of which the log tells
    (work / 'last_checkpoint').write_text('/elsewhere/gone.pth')
    log = run('train.py', config, '--resume', '--seed', 3, '--allow-drift',
              '--cfg-options', LONGER[kind], 'default_hooks.logger.interval=1')
    assert 'resumed epoch' in log
    check_quiet(log)
    for text in log, max(work.glob('*/*.log')).read_text():
        assert text.count('names /elsewhere/gone.pth, which is not') == 1
    second = newest(work)
    assert second != first
    check_plain(second)
    assert len(torch.load(second)['message_hub']['log_scalars']
               ['train/loss']['log_history']) == 2 * length
    # the copy of the first run's config is still there
    assert (work / f'{kind}.py').read_text() == dump
    assert (work / f'{kind}_2.py').exists()

    log = run('test.py', config, second, '--out', 'metrics.json',
              '--show-dir', 'pictures', '--cfg-options',
              'test_dataloader.dataset.indices=3')
    check_quiet(log)
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert metrics[METRICS[kind]] >= 0
    assert len(list((tmp_path / 'pictures').iterdir())) == 3


def newest(work):
    """The checkpoint that mmengine wrote last."""
    return max(work.glob('*_[0-9].pth'), key=lambda one: one.stat().st_mtime)


def check_plain(path):
    """Torch finds nothing in the file that it would not load."""
    assert not torch.serialization.get_unsafe_globals_in_checkpoint(path)


def check_quiet(log):
    """No line about which a user can do nothing."""
    lines = [line for line in log.splitlines()
             if re.search('warn', line, re.IGNORECASE)]
    # these were asked for
    lines = [line for line in lines if '--allow-drift allows' not in line
             and '/elsewhere/gone.pth' not in line]
    assert not lines, lines


@pytest.mark.slow
def test_predictions_and_label_maps(write_config, run, tmp_path):
    few = ['--cfg-options', 'test_dataloader.dataset.indices=3']
    config = write_config('segmentation')
    run('test.py', config, '--untrained', '--out', 'maps', *few)
    assert len(list((tmp_path / 'maps').glob('*.png'))) == 3
    config = write_config('classification')
    run('test.py', config, '--untrained', '--tta', '--out', 'all.pkl', *few)
    predictions = pickle.loads((tmp_path / 'all.pkl').read_bytes())
    assert len(predictions) == 3
    assert predictions[0]['pred_score'].shape == (10, )


@pytest.mark.slow
@pytest.mark.parametrize('kind, more', [
    ('detection', 'test_evaluator.update(metric="bbox")\n'
     'model["roi_head"].update(mask_roi_extractor=None, mask_head=None)'),
    ('segmentation', '')])
def test_tta(kind, more, write_config, run, tmp_path):
    run('test.py', write_config(kind, more), '--untrained', '--tta', '--out',
        'metrics.json', '--cfg-options', 'test_dataloader.dataset.indices=2')
    assert (tmp_path / 'metrics.json').exists()


@pytest.mark.slow
def test_mistakes_of_real_runs(write_config, run, tmp_path):
    """The whole output of a script is the sentence."""
    config = write_config('classification')
    log = run('train.py', config, '--cfg-options',
              'model.backbone.window_sice=7', status=2)
    assert log.startswith('error: ') and log.count('\n') == 1
    log = run('test.py', config, 'none.pth', status=2)
    assert log.startswith('error: ') and log.count('\n') == 1
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        'classification.py', 'work']
    assert not list((tmp_path / 'work').iterdir())
