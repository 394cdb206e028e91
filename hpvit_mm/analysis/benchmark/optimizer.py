"""AdamW's step with the parameter groups of the hosts and with ours."""
import copy
from typing import Dict, List

import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import MODELS
from torch import nn

from hpvit_mm.engine.checks.model import unheard

from .timing import Options, Variant, check_equal, compare

LR, DECAY, RATE = 1e-3, 0.05, 0.65
HOST = "mmengine's groups"  # the base of the ratios
# As many tensors as HPViT-B has, but so small that only calls count.
SMALL = dict(embed_dims=24, num_layers=12, num_heads=2,
             feedforward_channels=96)


def run(options: Options) -> List[dict]:
    """Times of many small tensors, where calls count, and of HPViT-B."""
    small = classifier(SMALL, 24).to(options.device)
    check_steps(small)
    wrappers = build_all(small)
    rows = compare('AdamW, 163 small tensors, 10 steps', [
        Variant(name, lambda wrapper=wrapper: steps(wrapper, 10))
        for name, wrapper in wrappers.items()], options)
    base = classifier('base', 768).to(options.device)
    wrappers = build_all(base)
    return rows + compare('AdamW, HPViT-B, 1 step', [
        Variant(name, wrappers[name].step) for name in (HOST, 'ours, fused')
    ], options)


def classifier(arch, width: int) -> nn.Module:
    """mmpretrain's classifier with our backbone, and with gradients."""
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='ImageClassifier', _scope_='mmpretrain',
        backbone=dict(type='hpvit_mm.HPViT', arch=arch),
        head=dict(type='LinearClsHead', num_classes=1000,
                  in_channels=width)))
    for param in model.parameters():
        param.grad = torch.randn_like(param)
    return model


def build_all(model: nn.Module) -> Dict[str, OptimWrapper]:
    """Wrappers with the same rates and decays, named as in the table."""
    options = dict(layer_decay_rate=RATE, flat_decay_mult=0.)
    ours = dict(constructor='hpvit_mm.LayerDecayOptimWrapperConstructor',
                paramwise_cfg=options)
    with unheard():
        grouped = {
            'ours, for-loop': build(model, ours, foreach=False),
            'ours, foreach': build(model, ours, foreach=True),
            'ours, fused': build(model, ours, fused=True)}
        # mmengine's constructor knows no depths: by the name, what ours finds
        names = {param: name for name, param in model.named_parameters()}
        mults = {names[param]: dict(lr_mult=group['lr'] / LR,
                                    decay_mult=group['weight_decay'] / DECAY)
                 for group in grouped['ours, fused'].optimizer.param_groups
                 for param in group['params']}
        return {
            HOST: build(model, dict(paramwise_cfg=dict(custom_keys=mults))),
            "mmpretrain's groups": build(model, dict(
                constructor='mmpretrain.LearningRateDecayOptimWrapper'
                'Constructor',
                paramwise_cfg=dict(options, custom_keys={
                    'pos_embed': dict(decay_mult=0.)}))),
            **grouped}


def build(model: nn.Module, grouping: dict, **how) -> OptimWrapper:
    """A wrapper around AdamW."""
    optimizer = dict(type='AdamW', lr=LR, weight_decay=DECAY, **how)
    return build_optim_wrapper(
        model, dict(copy.deepcopy(grouping), optimizer=optimizer))


def steps(wrapper: OptimWrapper, number: int) -> None:
    """Some updates with the gradients that are there."""
    for _ in range(number):
        wrapper.step()


def check_steps(model: nn.Module) -> None:
    """All wrappers must lead from the same weights to the same ones."""
    before = copy.deepcopy(model.state_dict())
    after = {}
    for name, wrapper in build_all(model).items():
        model.load_state_dict(before)
        steps(wrapper, 3)
        after[name] = copy.deepcopy(list(model.parameters()))
    for weights in after.values():
        check_equal(lambda _: weights, lambda _: after[HOST], None)
