"""Every config trains, validates and tests, made small."""
import math

from experiments import build, evaluate, train_step

from hpvit_mm.engine.outputs import set_tta


def test_one_step(small):
    if small.get('optim_wrapper'):
        model = train_step(small)
        metrics = evaluate(model, small.val_dataloader, small.val_evaluator)
        assert metrics and all(map(math.isfinite, metrics.values()))


def test_test_time_augmentation(small):
    if small.default_scope == 'mmdet' or not small.model.get('head', True):
        return  # mmdet merges no masks, and k-NN has a loop of its own
    set_tta(small)
    metrics = evaluate(build(small.model), small.test_dataloader,
                       small.test_evaluator)
    assert metrics and all(map(math.isfinite, metrics.values()))
