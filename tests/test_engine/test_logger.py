"""One process writes the metrics of a test."""
import json
from types import SimpleNamespace

import pytest

from hpvit_mm.engine import RankZeroLoggerHook


@pytest.mark.parametrize('rank', [0, 1])
def test_rank_zero_writes(rank, tmp_path):
    lines = []
    runner = SimpleNamespace(
        rank=rank, log_dir=str(tmp_path), test_dataloader=[1, 2],
        logger=SimpleNamespace(info=lines.append),
        log_processor=SimpleNamespace(get_log_after_epoch=(
            lambda *args, **kwargs: (dict(mIoU=50.), 'mIoU: 50'))))
    hook = RankZeroLoggerHook()
    hook.json_log_path = 'metrics.json'
    hook.after_test_epoch(runner)
    if rank == 0:
        assert json.loads((tmp_path / 'metrics.json').read_text()) == dict(
            mIoU=50.)
        assert lines == ['mIoU: 50']
    else:
        assert not list(tmp_path.iterdir())
