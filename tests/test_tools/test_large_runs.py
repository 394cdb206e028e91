"""What large runs need, on tiny experiments."""
import re

import pytest
import torch

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


@pytest.mark.slow
def test_compiled_with_averaged_weights(write_config, run, tmp_path):
    """The checkpoint is like any other, with the weights validated."""
    config = write_config('classification')
    compiled = ['default_hooks.compile.type=hpvit_mm.CompileHook',
                'default_hooks.compile.backend=aot_eager',
                'default_hooks.compile.fullgraph=True',
                'model.backbone.with_cp=True']
    log = run('train.py', config, '--cfg-options', *compiled, BFLOAT16,
              'default_hooks.ema.type=EMAHook',
              'default_hooks.ema.momentum=1e-4')
    assert '4 blocks of the backbone' in log and 'recompile_limit' not in log
    checkpoint = tmp_path / 'work/epoch_1.pth'
    content = torch.load(checkpoint)
    averages, names = content['ema_state_dict'], content['state_dict'].keys()
    assert {f'module.{name}' for name in names} | {'steps'} == averages.keys()
    tested = run('test.py', config, checkpoint)
    top1 = [re.findall(r'accuracy/top1: (\S+)', one) for one in (log, tested)]
    assert top1[0] == top1[1] and len(top1[0]) == 1
