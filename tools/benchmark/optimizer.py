"""The suite optimizer: AdamW's step with the hosts' groups and with ours."""
import copy
from typing import Any, Dict, List

import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import MODELS
from timing import Options, Variant, check_equal, compare
from torch import nn

LR, DECAY, RATE = 1e-3, 0.05, 0.65
HOST = "mmengine's groups"  # ratios refer to it
# The tensors of HPViT-B, but so small that only the number of calls counts.
SMALL = dict(embed_dims=24, num_layers=12, num_heads=2,
             feedforward_channels=96)


def run(options: Options) -> List[dict]:
    """Steps of many small tensors, and of HPViT-B."""
    small = classifier(SMALL, 24).to(options.device)
    check_steps(small)
    rows = compare('AdamW, 163 small tensors, 10 steps', [
        Variant(name, lambda wrapper=wrapper: steps(wrapper, 10))
        for name, wrapper in build_all(small).items()], options)
    base = build_all(classifier('base', 768).to(options.device))
    return rows + compare('AdamW, HPViT-B, 1 step', [
        Variant(name, base[name].step) for name in (HOST, 'ours, fused')],
        options)


def classifier(arch: Any, width: int) -> nn.Module:
    """mmpretrain's classifier with our backbone, and with gradients."""
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='ImageClassifier', _scope_='mmpretrain',
        backbone=dict(type='hpvit_mm.HPViT', arch=arch),
        head=dict(type='LinearClsHead', num_classes=1000,
                  in_channels=width)))
    for one in model.parameters():
        one.grad = torch.randn_like(one)
    return model


def build_all(model: nn.Module) -> Dict[str, OptimWrapper]:
    """Wrappers with the same learning rates and weight decays."""
    ours = dict(constructor='hpvit_mm.LayerDecayOptimWrapperConstructor',
                paramwise_cfg=dict(layer_decay_rate=RATE, flat_decay_mult=0.))
    fused = build(model, ours, fused=True)
    # mmengine's constructor knows no depths: give it what ours finds
    names = {one: name for name, one in model.named_parameters()}
    mults = {names[one]: dict(lr_mult=group['lr'] / LR,
                              decay_mult=group['weight_decay'] / DECAY)
             for group in fused.optimizer.param_groups
             for one in group['params']}
    return {
        HOST: build(model, dict(paramwise_cfg=dict(custom_keys=mults))),
        'ours, for-loop': build(model, ours, foreach=False),
        'ours, foreach': build(model, ours, foreach=True),
        'ours, fused': fused}


def build(model: nn.Module, grouping: dict, **options: Any) -> OptimWrapper:
    """A wrapper of AdamW."""
    optimizer = dict(type='AdamW', lr=LR, weight_decay=DECAY, **options)
    return build_optim_wrapper(
        model, dict(copy.deepcopy(grouping), optimizer=optimizer))


def steps(wrapper: OptimWrapper, number: int) -> None:
    """Several updates with the same gradients."""
    for _ in range(number):
        wrapper.step()


def check_steps(model: nn.Module) -> None:
    """All wrappers must lead from the same weights to the same ones."""
    before = copy.deepcopy(model.state_dict())
    after = {}
    for name, wrapper in build_all(model).items():
        model.load_state_dict(before)
        steps(wrapper, 3)
        after[name] = [one.detach().clone() for one in model.parameters()]
    for weights in after.values():
        check_equal(weights, after[HOST])
