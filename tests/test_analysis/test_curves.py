"""Curves: both kinds of loops, and runs in several parts."""
import json

import pytest

from hpvit_mm.analysis.curves import read_curves


def write(folder, rows, tail=''):
    path = folder / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(map(json.dumps, rows)) + '\n' + tail)


def train(step, epoch=None):
    row = dict(lr=1e-3, loss=10. / step, time=0.1, iter=step, step=step)
    return row if epoch is None else dict(row, epoch=epoch)


def test_epoch_loop(tmp_path):
    write(tmp_path / '20260101_000000', [
        train(50, 1), train(100, 1), {'accuracy/top1': 60., 'step': 1},
        train(150, 2), train(200, 2), {'accuracy/top1': 80., 'step': 2}])
    curves = read_curves(tmp_path, 'accuracy/top1')
    assert curves['loss'] == [(s, 10. / s) for s in (50, 100, 150, 200)]
    assert curves['metric'] == [(100, 60.), (200, 80.)]


def test_iteration_loop(tmp_path):
    write(tmp_path / '20260101_000000', [
        train(50), train(100), {'mIoU': 40., 'step': 100}])
    assert read_curves(tmp_path, 'mIoU')['metric'] == [(100, 40.)]


def test_resumed_run_has_no_duplicates(tmp_path):
    write(tmp_path / '20260101_000000', [
        train(50), train(100), {'mIoU': 40., 'step': 100}, train(150),
        train(200), {'mIoU': 1., 'step': 200}])
    write(tmp_path / '20260101_000500', [])  # stopped before it logged
    write(tmp_path / '20260101_001000', [
        train(150), train(200), {'mIoU': 50., 'step': 200}],
        tail='{"loss": 1.0, "st')  # killed while it wrote
    curves = read_curves(tmp_path, 'mIoU')
    assert [step for step, _ in curves['loss']] == [50, 100, 150, 200]
    assert curves['metric'] == [(100, 40.), (200, 50.)]


def test_started_again_from_scratch(tmp_path):
    write(tmp_path / '20260101_000000', [train(10), train(20), train(30)])
    write(tmp_path / '20260101_001000', [train(10), train(20)])
    assert [step for step, _ in read_curves(tmp_path, 'x')['loss']] == [10, 20]


@pytest.mark.parametrize('loss', [float('nan'), float('inf')])
def test_what_is_not_finite_is_read(tmp_path, loss):
    write(tmp_path / '20260101_000000', [dict(train(10), loss=loss)])
    assert len(read_curves(tmp_path, 'x')['loss']) == 1


def test_no_run(tmp_path):
    assert read_curves(tmp_path, 'x') == dict(loss=[], metric=[])
