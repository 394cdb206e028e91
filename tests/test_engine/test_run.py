"""Several processes, and the sentence of an error."""
import signal
from logging import getLogger
from types import SimpleNamespace

import pytest
from mmengine._strategy import FSDPStrategy as MMEngineFSDPStrategy
from mmengine.config import Config
from mmengine.hooks import IterTimerHook

from hpvit_mm.cli import run_tool, user_error_text
from hpvit_mm.engine import FSDPStrategy, WatchdogHook, distributed, run
from hpvit_mm.errors import UserError


def test_sync_bn_is_replaced_everywhere():
    cfg = Config(dict(model=dict(
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        heads=[dict(norm_cfg=dict(type='SyncBN')),
               dict(norm_cfg=dict(type='LN'))])))
    distributed.replace_sync_bn(cfg)
    assert cfg.model.norm_cfg == dict(type='BN', requires_grad=True)
    assert [head.norm_cfg.type for head in cfg.model.heads] == ['BN', 'LN']


def test_no_gpu_is_asked_for():
    """By neither of mmengine's two runners."""
    for more in ({}, dict(runner_type='FlexibleRunner')):
        cfg = Config(dict(more, find_unused_parameters=True))
        distributed.wrap_without_gpu(cfg)
        wrapper = cfg.strategy.model_wrapper if more else cfg.model_wrapper_cfg
        assert wrapper.device_ids is None and wrapper.find_unused_parameters
    cfg = Config(dict(strategy=dict(type='hpvit_mm.FSDPStrategy'), **more))
    distributed.wrap_without_gpu(cfg)
    assert cfg.strategy == dict(type='hpvit_mm.FSDPStrategy')


@pytest.mark.parametrize('kind, says', [
    (FSDPStrategy, None), (MMEngineFSDPStrategy, 'sharded'),
    ('DDPStrategy', None)])
def test_classes_of_strategies(kind, says):
    cfg = Config(dict(launcher='pytorch', strategy=dict(type=kind),
                      default_hooks=dict(timer=dict(type=IterTimerHook))))
    if says is None:
        return distributed.check_strategy(cfg)
    with pytest.raises(UserError, match=says):
        distributed.check_strategy(cfg)


def test_nothing_watches_behind_a_test_that_failed(monkeypatch):
    """It would end this process later."""
    hook = WatchdogHook()

    def fail():
        hook.before_test(SimpleNamespace(logger=getLogger()))
        assert hook.started is not None
        raise UserError('no')

    args = SimpleNamespace(launcher='none', untrained=False, out=None)
    monkeypatch.setattr(run.arguments, 'parse_test', lambda argv: args)
    monkeypatch.setattr(run.settings, 'test_config', lambda args: None)
    for name in ('check_run', 'register_loaders'):
        monkeypatch.setattr(run, name, lambda *args, **options: None)
    monkeypatch.setattr(run.distributed, 'set_up', lambda cfg: None)
    monkeypatch.setattr(run, 'build_runner', lambda cfg: SimpleNamespace(
        hooks=[IterTimerHook(), hook], test=fail))
    with pytest.raises(UserError):
        run.test([])
    assert hook.started is None


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


def test_a_full_disk(capsys):
    """Wherever it is noticed, here after a failure to write."""
    def fail():
        with open('/dev/full', 'w') as file:
            file.write('a')

    assert run_tool(fail) == 2
    assert capsys.readouterr().err.startswith(
        'error: No space left on device: free some space')


def test_other_errors_of_the_system():
    with pytest.raises(IsADirectoryError):
        run_tool(lambda: open('/', 'w'))


@pytest.fixture
def torchs_handler():
    """torch's, of processes that have ended, as it is after a kill."""
    def complain(*_):
        raise RuntimeError('DataLoader worker (pid 5) is killed by signal: '
                           'Killed. ')

    before = signal.signal(signal.SIGCHLD, complain)
    yield
    signal.signal(signal.SIGCHLD, before)


def test_what_is_said_while_a_worker_dies(torchs_handler, capsys):
    """torch may interrupt at any place, also where the sentence is made."""
    class Slow(UserError):

        def __str__(self):
            signal.raise_signal(signal.SIGCHLD)
            return super().__str__()

    def fail():
        try:
            raise Slow('a process that loads data ended')
        finally:
            signal.raise_signal(signal.SIGCHLD)

    assert run_tool(fail) == 2
    assert capsys.readouterr().err == \
        'error: a process that loads data ended\n'


def test_other_errors_while_a_mistake_is_handled():
    """They are faults of the code."""
    def fail():
        try:
            raise UserError('a mistake')
        finally:
            raise RuntimeError('a fault')

    with pytest.raises(RuntimeError, match='a fault'):
        run_tool(fail)
