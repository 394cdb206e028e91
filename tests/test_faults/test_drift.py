"""Runs that are resumed as other ones."""
import os
import shutil

import pytest
import torch
from harness import Experiment


TWO_EPOCHS = 'train_cfg.update(max_epochs=2)\n'


@pytest.fixture(scope='module')
def finished(tmp_path_factory, sample_data):
    """A run of two epochs."""
    run = Experiment(tmp_path_factory.mktemp('finished'), 'classification',
                     sample_data, TWO_EPOCHS)
    run.run()
    return run


@pytest.fixture
def stopped(tmp_path, sample_data, finished):
    """A copy of it that lacks the second epoch, with its own data."""
    data = tmp_path / 'samples'
    shutil.copytree(sample_data / 'imagenet', data / 'imagenet')
    run = Experiment(tmp_path / 'run', 'classification', data, TWO_EPOCHS)
    shutil.copytree(finished.work_dir, run.work_dir)
    shutil.copy(finished.folder / 'diary.0', run.folder)
    (run.work_dir / 'epoch_2.pth').unlink()
    run.data = data / 'imagenet'
    return run


def options(*pairs):
    return ['--resume', '--cfg-options', *pairs]


def another_order(run):
    path = run.data / 'meta/train.txt'
    path.write_text(''.join(reversed(path.read_text().splitlines(True))))


def another_place(run):
    """A moved data set is no drift."""
    moved = run.data.with_name('moved')
    run.data.rename(moved)
    text = run.config.read_text().replace(str(run.data), str(moved))
    run.config.write_text(text)


DRIFTS = [
    (['train_dataloader.batch_size=8'], None, 1,
     ['images per process and batch: 4, now 8']),
    pytest.param(
        ['model.backbone.drop_path_rate=0.1', 'train_cfg.max_epochs=3'], None,
        1, ['drop_path_rate: 0.3, now 0.1', 'train_cfg.max_epochs: 2, now 3'],
        marks=pytest.mark.faults),
    pytest.param(['randomness.seed=9'], None, 1, ['seed: 3, now 9'],
                 marks=pytest.mark.faults),
    pytest.param([], None, 2, ['processes: 1, now 2'],
                 marks=pytest.mark.faults),
    ([], another_order, 1, ['training data: ', 'samples, fingerprint']),
]


@pytest.mark.slow
@pytest.mark.parametrize('pairs, change, processes, says', DRIFTS)
def test_drift(pairs, change, processes, says, stopped, fault_table):
    """An error that names it; with a flag a note in the checkpoints."""
    if change:
        change(stopped)
    flags = options(*pairs) if pairs else ['--resume']
    log = stopped.run(*flags, status=2, processes=processes)
    fault_table('resumed as another run', 1, 1)
    error = log[log.index('error: '):]
    assert error.count('\n') == 1 and '--allow-drift' in error
    assert all(part in error for part in says), error
    assert [path.name for path in stopped.work_dir.glob('epoch_*')] == [
        'epoch_1.pth']
    if says[0].startswith('seed'):
        return  # others are enough
    log = stopped.run('--allow-drift', *flags, processes=processes)
    assert 'as --allow-drift allows' in log
    last, = {path for path in stopped.work_dir.glob('epoch_*')
             } - {stopped.work_dir / 'epoch_1.pth'} if 'max_epochs=3' not in \
        ' '.join(pairs) else [stopped.work_dir / 'epoch_3.pth']
    meta = torch.load(last)['meta']
    note, = meta['hpvit_mm']['changes']
    assert note['iter'] == 8
    assert all(part in '; '.join(note['changes']) for part in says)
    # as a whole epoch of the new length
    assert meta['epoch'] == (3 if 'max_epochs=3' in ' '.join(pairs) else 2)
    # it is the run now: no drift any more
    stopped.run(*flags, processes=processes)


@pytest.mark.slow
@pytest.mark.parametrize('pairs, change', [
    (['train_dataloader.num_workers=1', 'default_hooks.logger.interval=1',
      'default_hooks.watchdog.timeout=60', 'val_dataloader.batch_size=3',
      'default_hooks.checkpoint.max_keep_ckpts=1'], None),
    pytest.param([], another_place, marks=pytest.mark.faults)])
def test_no_drift(pairs, change, stopped):
    """Entries may change that do not change the training."""
    if change:
        change(stopped)
    log = stopped.run(*(options(*pairs) if pairs else ['--resume']))
    assert 'resumed epoch: 1' in log and 'not the run that' not in log


@pytest.mark.slow
@pytest.mark.faults
def test_from_within_an_epoch_of_another_length(stopped):
    """The same part of the epoch is left out."""
    running = stopped.start('--restart')
    while len(stopped.diary()) < 25:  # the fourth of the second time
        assert not running.poll()
    os.kill(running.pids[0], 15)
    assert running.wait() == [75]
    done = stopped.diary()[-1][0]
    before = len(stopped.diary())
    stopped.run('--allow-drift', *options('train_dataloader.batch_size=2'))
    lines = [line for line in stopped.diary()[before:] if line[0] != 'val']
    assert lines[0][0] == done + 1
    first = done % 8  # batches of the epoch; twice as many now
    assert len(lines) == 16 - 2 * first + 16 * (1 - done // 8)


@pytest.mark.slow
@pytest.mark.faults
def test_a_checkpoint_without_a_record(stopped):
    path = stopped.work_dir / 'epoch_1.pth'
    content = torch.load(path)
    del content['meta']['hpvit_mm']
    torch.save(content, path)
    log = stopped.run('--resume')
    assert 'has no record of its run' in log
