"""Every config trains, validates and tests, made small."""
import math

import torch
from mmengine.evaluator import Evaluator
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
from mmengine.runner import Runner

from hpvit_mm.engine.outputs import set_tta


def build(model):
    torch.manual_seed(0)
    return revert_sync_batchnorm(MODELS.build(model))


def evaluate(cfg, model, loader, evaluator):
    """Predict one batch and put it through the metrics."""
    loader = Runner.build_dataloader(loader)
    evaluator = Evaluator(evaluator)
    evaluator.dataset_meta = loader.dataset.metainfo
    batch = next(iter(loader))
    with torch.no_grad():
        samples = model.eval().test_step(batch)
    evaluator.process(samples, batch)
    # COCO's metric wants no more than it has seen
    return evaluator.evaluate(len(samples))


def test_one_step(small):
    cfg = small
    if not cfg.get('optim_wrapper'):
        return
    model = build(cfg.model)
    cfg.optim_wrapper.pop('accumulative_counts', None)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = {name: param.clone() for name, param in model.named_parameters()}
    reached = set()
    for name, param in model.named_parameters():
        if param.requires_grad:
            param.register_hook(lambda grad, name=name: reached.add(name))
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    losses = model.train().train_step(next(iter(loader)), wrapper)
    assert all(torch.isfinite(loss).all() for loss in losses.values())
    for name, param in model.named_parameters():
        assert torch.isfinite(param).all(), name
        assert param.requires_grad == (name in reached), name
        if not param.requires_grad:
            assert torch.equal(param, before[name]), name
    assert any(not torch.equal(param, before[name])
               for name, param in model.named_parameters())
    metrics = evaluate(cfg, model, cfg.val_dataloader, cfg.val_evaluator)
    assert metrics and all(map(math.isfinite, metrics.values()))


def test_test_time_augmentation(small):
    cfg = small
    if cfg.default_scope == 'mmdet' or not cfg.model.get('head', True):
        return  # mmdet merges no masks, and k-NN has a loop of its own
    set_tta(cfg)
    model = build(cfg.model)
    evaluate(cfg, model, cfg.test_dataloader, cfg.test_evaluator)
