"""What large runs need, on tiny experiments."""
import pytest

BFLOAT16 = 'optim_wrapper.type=hpvit_mm.BFloat16OptimWrapper'


@pytest.mark.slow
def test_detector_in_bfloat16(write_config, run, tmp_path):
    """Resumed from float32; mmcv's ops know no bfloat16."""
    config = write_config('detection')
    run('train.py', config, '--no-validate')
    log = run('train.py', config, '--no-validate', '--resume',
              '--cfg-options', BFLOAT16, 'train_cfg.max_epochs=2')
    assert 'resumed epoch: 1' in log
    assert (tmp_path / 'work/epoch_2.pth').exists()
