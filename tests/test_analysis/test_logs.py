"""Logs of trainings."""
import json

import pytest

from hpvit_mm.analysis.logs import read_curves
from hpvit_mm.errors import UserError


def write(work_dir, start, rows, end=''):
    path = work_dir / start / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(map(json.dumps, rows)) + end)


def step(number, loss):
    return dict(loss=loss, lr=0.1, time=1., epoch=1, iter=number, step=number)


def test_a_resumed_training_replaces_what_it_repeats(tmp_path):
    write(tmp_path, '20260101_000000', [
        step(10, 3.), dict(mIoU=50., time=9., step=1), step(20, 2.),
        step(30, 1.9)], end='\n{"loss": 1.')
    write(tmp_path, '20260101_010000', [
        step(20, 1.5), dict(mIoU=60., time=9., step=2)])
    curves = read_curves(tmp_path)
    assert curves['loss'] == {10: 3., 20: 1.5}
    assert curves['mIoU'] == {10: 50., 20: 60.}
    assert curves['time'] == {10: 1., 20: 1.}
    assert 'step' not in curves and 'epoch' not in curves


def test_a_folder_without_log_is_told(tmp_path):
    with pytest.raises(UserError, match='no log of a training'):
        read_curves(tmp_path)
