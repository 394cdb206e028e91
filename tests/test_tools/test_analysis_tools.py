"""The tools of tools/analysis on tiny experiments."""
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_experiments import ROOT

CONFIG = ROOT / 'configs/quickstart/hpvit-mini_1xb32-8e_sample-imagenet.py'


def test_features_are_drawn(inside, sample_data):
    image = min((sample_data / 'imagenet/val').rglob('*.JPEG'))
    inside('analysis/visualize_features.py', CONFIG, image, '--size', 64,
           '--point', 20, 40)
    figure = cv2.imread('features.png')
    assert figure.shape[1] > 1000 and figure.std() > 10


def test_features_of_a_trained_classifier_are_drawn(inside, trained,
                                                    sample_data):
    config, checkpoint = trained('classification')
    image = min((sample_data / 'imagenet/val').rglob('*.JPEG'))
    inside('analysis/visualize_features.py', config, image, '--size', 64,
           '--checkpoint', checkpoint)
    assert np.std(cv2.imread('features.png')) > 10


def test_mistakes_of_the_features_tool(refused, trained, tmp_path):
    refused('analysis/visualize_features', CONFIG, tmp_path / 'none.jpg',
            says=['cannot be read'])
    config, _ = trained('classification')
    refused('analysis/visualize_features', config, 'a.jpg',
            says=['--checkpoint'])
    assert not Path('features.png').exists()


def test_logs_are_plotted(inside, refused_text, tmp_path):
    work_dir = tmp_path / 'work'
    log = work_dir / '20260101_000000/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('\n'.join(
        f'{{"loss": {9 - i}, "lr": 0.1, "mIoU": {i}, "step": {i}}}'
        for i in range(9)))
    inside('analysis/plot_logs.py', work_dir, work_dir, '--mean')
    assert np.std(cv2.imread('curves.png')) > 10
    other = tmp_path / 'other/20260101_000000/vis_data/scalars.json'
    other.parent.mkdir(parents=True)
    other.write_text('{"loss": 1.0, "step": 70}')
    assert 'no common iteration' in refused_text(
        'analysis/plot_logs.py', work_dir, tmp_path / 'other', '--mean',
        '--keys', 'loss', '--force')
    inside('analysis/plot_logs.py', work_dir, '--keys', 'loss', '--out',
           'loss.svg')
    assert '</svg>' in Path('loss.svg').read_text()
    for argv, says in (((work_dir, ), 'exists'),
                       ((work_dir, '--keys', 'lss', '--out', 'a.png'),
                        'no run has logged lss'),
                       ((Path('.'), '--out', 'a.png'), 'no log')):
        assert says in refused_text('analysis/plot_logs.py', *argv)


def test_a_report_is_one_file(inside, refused_text, trained, tmp_path):
    work_dir = tmp_path / 'work'
    config, checkpoint = trained('classification')
    log = work_dir / '20260101_000000/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('{"loss": 2.5, "lr": 0.1, "step": 7}\n'
                   '{"accuracy/top1": 61.25, "step": 1}')
    written = max(checkpoint.parent.glob('*/vis_data/config.py'))
    (log.parent / 'config.py').write_text(written.read_text())
    inside('analysis/report.py', work_dir, '--checkpoint', checkpoint)
    page = (work_dir / 'report.html').read_text()
    for part in ('61.25', 'image/svg+xml', 'image/jpeg', 'stage_depths',
                 '<td>seven</td>', 'alt="matrix"', 'taken for'):
        assert part in page
    assert 'src="http' not in page and 'href=' not in page
    assert 'exists' in refused_text('analysis/report.py', work_dir)


def test_the_report_of_a_detector_has_its_classes(inside, trained, tmp_path,
                                                  monkeypatch):
    config, checkpoint = trained('detection')
    options = ['analysis/report.py', checkpoint.parent, '--checkpoint',
               checkpoint, '--force', '--out', tmp_path / 'report.html']
    inside(*options)
    page = (tmp_path / 'report.html').read_text()
    assert '<h2>Classes</h2>' in page
    # one step of training detects little, so what mmdet writes otherwise
    monkeypatch.setattr('hpvit_mm.engine.run.test', lambda argv: Path(
        argv[argv.index('--out') + 1]).write_text(
            '{"coco/segm_mAP": 0.5, "coco/seven_precision": 0.25}'))
    inside(*options)
    page = (tmp_path / 'report.html').read_text()
    assert '<td>seven</td><td>0.250</td>' in page


@pytest.mark.parametrize('kind', ['classification', 'detection',
                                  'segmentation'])
def test_data_are_drawn(inside, refused_text, write_config, kind):
    config = write_config(kind)
    printed = inside('analysis/browse_dataset.py', config, '--count', 3)
    assert 'browse.png: 3 of ' in printed
    sheet = cv2.imread('browse.png')
    assert sheet.shape[1] > 900 and sheet.std() > 10
    assert 'exists' in refused_text('analysis/browse_dataset.py', config)
    # the labels have another size than the resized images
    inside('analysis/browse_dataset.py', config, '--phase', 'val', '--force')
    assert 'does not exist; put the data there' in refused_text(
        'analysis/browse_dataset.py', config, '--force', '--phase', 'val',
        '--cfg-options', 'val_dataloader.dataset.data_root=nowhere')


@pytest.mark.parametrize('kind, name', [
    ('segmentation', 'mIoU'), ('classification', 'accuracy/top1')])
def test_comparison_tells_the_metric_of_the_log(inside, trained, kind, name):
    config, checkpoint = trained(kind)
    printed = inside('analysis/compare_checkpoints.py', config, checkpoint,
                     checkpoint, '--json')
    result = json.loads(
        printed[printed.index('{\n'):printed.rindex('}') + 1])
    log = max(checkpoint.parent.glob('*/vis_data/scalars.json'))
    rows = map(json.loads, log.read_text().splitlines())
    expected = [row[name] for row in rows if name in row][-1]
    assert 100 * result['a'] == pytest.approx(expected, abs=0.01)
    assert result['a'] == result['b'] and result['changed'] == []


def test_detectors_are_not_compared(refused_text, trained):
    config, checkpoint = trained('detection')
    assert 'not a sum over images' in refused_text(
        'analysis/compare_checkpoints.py', config, checkpoint, checkpoint)


@pytest.fixture
def refused_text(inside):
    """Calls a tool that ends with status 2; returns what it prints."""
    def call(name, *argv):
        text = inside(name, *argv, status=2)
        assert 'error: ' in text
        return text

    return call
