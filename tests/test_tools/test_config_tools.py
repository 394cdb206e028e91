"""Looking at configs without a run."""
import json
from pathlib import Path

from mmengine.config import Config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
ADE = CONFIGS / 'ade20k/vit-base-mae_upernet_8xb2-160k_ade20k-512x512.py'


def test_print_config(inside, tmp_path):
    text = inside('print_config.py', ADE, '--cfg-options',
               'model.backbone.arch=tiny')
    (tmp_path / 'printed.py').write_text(text)
    printed = Config.fromfile(tmp_path / 'printed.py')
    assert printed.model.backbone.pop('arch') == 'tiny'
    cfg = Config.fromfile(ADE)
    cfg.model.backbone.pop('arch')
    assert printed.to_dict() == cfg.to_dict()


def test_mistakes(tool):
    status, err = tool('print_config', 'nowhere.py')
    assert status == 2 and 'nowhere.py does not exist' in err
    status, err = tool('print_config', ADE, '--cfg-options', 'modle.x=1')
    assert status == 2 and 'model' in err


def test_get_flops(inside):
    name = 'analysis/get_flops'
    text = inside(f'{name}.py', ADE, '--shape', '64', '96', '--cfg-options',
               'model.backbone.attention=window')
    assert 'an image of 64 x 96 pixels' in text
    assert 'stage 1/16, 12 blocks  1 x 24' in text
    assert 'auxiliary_head' in text
    parts = json.loads(inside(f'{name}.py', ADE, '--shape', '64', '--json'))
    assert parts['total']['parameters'] > parts['backbone']['parameters']
    assert parts['backbone']['macs'] > parts['stem']['macs'] > 0
    text = inside(f'{name}.py', ADE, '--shape', '64', '--cfg-options',
                  'model.backbone=dict(_delete_=True,type="SwinTransformer")',
                  'model.neck=None')
    assert 'backbone' in text and 'stage 1/' not in text
    for argv, says in [
        (('nowhere.py', ), 'nowhere.py does not exist'),
        ((ADE, '--shape', '64', '--cfg-options',
          'model.decode_head.in_channels=[9,9,9,9]'), 'decode_head does not'),
        ((ADE, '--shape', '0'), '--shape 0: give'),
        ((ADE, '--shape', '-5', '64'), '--shape -5 64: give'),
        ((ADE, '--shape', 'wide'), '--shape wide: give'),
        ((ADE, '--cfg-options', 'modle.x=1'), 'model'),
        ((CONFIGS / '_base_/schedules/ade20k_160k.py', '--shape', '64'),
         'has no model')]:
        assert 'error: ' in (log := inside(f'{name}.py', *argv, status=2))
        assert says in log
