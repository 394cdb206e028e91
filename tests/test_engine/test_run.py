"""Several processes, accumulated batches, and the sentence of an error."""
import logging
from types import SimpleNamespace

import pytest
from mmengine.config import Config

from hpvit_mm.cli import run_tool, user_error_text
from hpvit_mm.engine import distributed, run
from hpvit_mm.errors import UserError


def runner(scaling, world_size=2, **wrapper):
    return SimpleNamespace(
        auto_scale_lr=scaling, world_size=world_size,
        logger=logging.getLogger('test_run'),
        cfg=Config(dict(train_dataloader=dict(batch_size=4),
                        optim_wrapper=wrapper)))


def test_accumulated_batches_count():
    one = runner(dict(enable=True, base_batch_size=96), accumulative_counts=3)
    run.count_accumulation(one)
    # mmengine scales by 4 x 2 over this: (4 x 2 x 3) / 96
    assert 4 * 2 / one.auto_scale_lr['base_batch_size'] == 24 / 96


@pytest.mark.parametrize('scaling', [
    None, dict(base_batch_size=8), dict(enable=True, base_batch_size=8)])
def test_mmengine_scales_alone_without_accumulation(scaling):
    one = runner(scaling)
    run.count_accumulation(one)
    assert one.auto_scale_lr == scaling


def test_sync_bn_is_replaced_everywhere():
    cfg = Config(dict(model=dict(
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        heads=[dict(norm_cfg=dict(type='SyncBN')),
               dict(norm_cfg=dict(type='LN'))])))
    distributed.replace_sync_bn(cfg)
    assert cfg.model.norm_cfg == dict(type='BN', requires_grad=True)
    assert [head.norm_cfg.type for head in cfg.model.heads] == ['BN', 'LN']


def test_innermost_sentence():
    """Registries put a prefix before it at every level."""
    with pytest.raises(UserError) as caught:
        try:
            raise UserError('the cat sat\non the mat')
        except UserError as error:
            raise type(error)(f'class `Outer` in x.py: {error}')
    assert user_error_text(caught.value) == 'the cat sat on the mat'


@pytest.mark.parametrize('rank, said', [('0', 'error: no\n'), ('1', '')])
def test_one_process_speaks(rank, said, capsys, monkeypatch):

    def fail():
        raise UserError('no')

    monkeypatch.setenv('LOCAL_RANK', rank)
    assert run_tool(fail) == 2
    assert capsys.readouterr().err == said
    assert run_tool(lambda: None) == 0
