"""What is timed beside the network gives the results of the hosts."""
import pytest
import torch

from hpvit_mm.analysis.benchmark import log, optimizer
from hpvit_mm.analysis.benchmark.timing import Options
from hpvit_mm.errors import UserError


@pytest.fixture
def model():
    return optimizer.classifier(
        dict(optimizer.SMALL, embed_dims=8, feedforward_channels=8), 8)


def test_optimizers_take_the_same_steps(model):
    optimizer.check_steps(model)
    groups = {name: len(wrapper.optimizer.param_groups) for name, wrapper in
              optimizer.build_all(model).items()}
    assert groups[optimizer.HOST] == groups["mmpretrain's groups"] \
        == len(list(model.parameters())) == 163
    assert groups['ours, fused'] == 28


def test_other_steps_are_not_timed(model, monkeypatch):
    build = optimizer.build
    monkeypatch.setattr(
        optimizer, 'build', lambda *args, **how: build(
            *args, **how, **(dict(eps=1.) if how.get('fused') else {})))
    with pytest.raises(UserError, match='cannot be compared'):
        optimizer.check_steps(model)


def test_hooks_log_the_same():
    log.check_logs(Options())


def test_other_logs_are_not_timed(monkeypatch):

    class Wrong(log.RuntimeInfoHook):

        def after_train_iter(self, runner, batch_idx, outputs, **kwargs):
            outputs['loss_1'] = torch.zeros(())
            super().after_train_iter(runner, batch_idx, outputs=outputs)

    monkeypatch.setitem(log.KINDS, 'ours', Wrong)
    with pytest.raises(UserError, match='cannot be compared'):
        log.check_logs(Options())
