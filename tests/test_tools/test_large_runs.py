"""bfloat16, EMA, compilation and FSDP, on tiny experiments."""
import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
SHARED = (ROOT / 'configs/_base_/default_runtime/fsdp.py').read_text()
BFLOAT16 = 'optim_wrapper.type=hpvit_mm.BFloat16OptimWrapper'
COMPILE = ['default_hooks.compile.type=hpvit_mm.CompileHook',
           'default_hooks.compile.backend=eager',
           'default_hooks.compile.fullgraph=True']
TWO_BLOCKS = """
model['backbone'].update(stage_depths=(1, 1))
model['backbone']['arch'].update(num_layers=2)
"""


@pytest.mark.slow
def test_detector_in_bfloat16_with_averaged_weights(write_config, inside,
                                                    tmp_path):
    """mmcv's ops do not support bfloat16."""
    inside('train.py', write_config('detection'), '--no-validate',
        '--cfg-options', BFLOAT16, 'default_hooks.ema.type=EMAHook',
        'default_hooks.ema.momentum=1e-4')
    content = torch.load(tmp_path / 'work/epoch_1.pth')
    averages, names = content['ema_state_dict'], content['state_dict'].keys()
    assert {f'module.{name}' for name in names} | {'steps'} == averages.keys()


@pytest.mark.slow
def test_compiled_with_shared_parameters(write_config, forks, inside,
                                         tmp_path):
    """FSDP; the checkpoint is tested as any other, not compiled."""
    config = write_config('classification', SHARED + TWO_BLOCKS)
    log = forks('train', config, '--auto-scale-lr', '--cfg-options', BFLOAT16,
                'optim_wrapper.clip_grad.max_norm=1.0', *COMPILE)
    assert 'multiplied by 2' in log and 'base_lr: 4.0000e-03' in log
    assert '2 blocks of the backbone' in log and 'recompile_limit' not in log
    tested = inside('test.py', config, tmp_path / 'work/epoch_1.pth')
    top1 = [re.findall(r'accuracy/top1: (\S+)', one) for one in (log, tested)]
    assert top1[0] == top1[1] and len(top1[0]) == 1


@pytest.mark.parametrize('option, says', [
    ('strategy.type=hpvit_mm.FSDPStrategy', 'tools/dist_train.sh'),
    ('strategy.state_dict_cfg=local', 'sharded checkpoints'),
    ('strategy.type=DeepSpeedStrategy', 'sharded checkpoints'),
    ('default_hooks.ema.type=EMAHook', 'EMAHook')])
def test_mistakes_of_shared_parameters(option, says, write_config, tool,
                                       monkeypatch):
    flags = []
    if says == 'EMAHook':  # of a process that a launcher started
        for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR',
                     'MASTER_PORT'):
            monkeypatch.setenv(name, '0')
        flags = ['--launcher', 'pytorch']
    config = write_config('classification', SHARED)
    status, text = tool('train', config, *flags, '--cfg-options', option)
    assert status == 2 and text.count('\n') == 1 and says in text
