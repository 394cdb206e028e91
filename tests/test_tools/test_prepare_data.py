"""Preparing data from the command line."""
import shutil

import pytest


def test_a_set_that_is_fine(sample_data, run, tmp_path):
    root = tmp_path / 'cityscapes'
    shutil.copytree(sample_data / 'cityscapes', root)
    for path in root.rglob('*labelTrainIds.png'):
        path.unlink()
    log = run('prepare_data.py', 'cityscapes', root, '--subset')
    assert 'made   gtFine/train: 20 *_gtFine_labelTrainIds.png' in log
    assert log.endswith('ready for configs/cityscapes, which read '
                        'data/cityscapes: link it there (ln -sT "$(realpath '
                        f'{root})" data/cityscapes) or set data_root\n')


def test_problems_and_the_tree(sample_data, tool):
    root = sample_data / 'ade/ADEChallengeData2016'
    status, text = tool('prepare_data', 'ade20k', root)
    assert status == 2 and 'is not ready (2 problems)' in text


@pytest.mark.parametrize('argv, says', [
    (['coco', 'none'], 'there is no folder'),
    (['coco', '{file}'], 'there is no folder')])
def test_paths(argv, says, tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'file').touch()
    status, text = tool('prepare_data', *[
        one.format(file=tmp_path / 'file') for one in argv])
    assert status == 2
    assert text.startswith('error: ') and text.count('\n') == 1
    assert says in text and 'expected for COCO 2017' in text


@pytest.mark.parametrize('argv', [[], ['mnist', '.'], ['coco']])
def test_command_lines_that_cannot_be_read(argv, tool):
    status, text = tool('prepare_data', *argv)
    assert status == 2 and 'usage' in text


@pytest.mark.parametrize('option, kind, says', [
    ('train_dataloader.dataset.data_root=/no/data', 'classification',
     '/no/data/train/<wnid>/*.JPEG'),
    ('train_dataloader.dataset.dataset.ann_file=none.json', 'detection',
     'annotations/instances_{train,val}2017.json'),
])
def test_runs_tell_what_is_expected(option, kind, says, tool, write_config):
    status, text = tool('train', write_config(kind), '--cfg-options', option)
    assert status == 2
    assert says in text and 'tools/prepare_data.py' in text
