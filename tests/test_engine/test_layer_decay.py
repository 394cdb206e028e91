"""Layer-wise learning rate decay, on the models of all three libraries."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from torch import nn

from hpvit_mm.engine import LayerDecayOptimWrapperConstructor
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

CONFIGS = Path(__file__).parents[2] / 'configs'
MINI = dict(embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64)


class Model(nn.Module):

    def __init__(self, **kwargs):
        super().__init__()
        self.backbone = HPViT(MINI, stage_depths=(1, 1, 1, 1),
                              pooling='conv', **kwargs)
        self.head = nn.Linear(32, 10)


def build(model, optimizer=None, **paramwise_cfg):
    optimizer = optimizer or dict(type='AdamW', lr=1., weight_decay=0.1)
    return LayerDecayOptimWrapperConstructor(
        dict(type='OptimWrapper', optimizer=optimizer),
        dict(dict(layer_decay_rate=0.5), **paramwise_cfg))(model)


def settings(model, wrapper):
    """Name of a parameter -> (learning rate, weight decay)."""
    names = {id(p): name for name, p in model.named_parameters()}
    found = {}
    for group in wrapper.optimizer.param_groups:
        for param in group['params']:
            if id(param) in names:
                assert names[id(param)] not in found
                found[names[id(param)]] = group['lr'], group['weight_decay']
    return found


def test_rates_and_decays():
    model = Model(with_cls_token=True)
    found = settings(model, build(model))
    assert set(found) == {name for name, _ in model.named_parameters()}
    assert found['backbone.pos_embed'] == (0.5**5, 0)
    assert found['backbone.cls_token'] == (0.5**5, 0)
    assert found['backbone.patch_embed.proj.weight'] == (0.5**5, 0.1)
    assert found['backbone.patch_embed.proj.bias'] == (0.5**5, 0)
    for i in range(4):
        rate = 0.5**(4 - i)
        assert found[f'backbone.blocks.{i}.attn.qkv.weight'] == (rate, 0.1)
        assert found[f'backbone.blocks.{i}.attn.qkv.bias'] == (rate, 0)
        assert found[f'backbone.blocks.{i}.norm1.weight'] == (rate, 0)
    assert found['backbone.pools.0.weight'] == (0.5**4, 0.1)
    assert found['backbone.norms.3.weight'] == (1, 0)
    assert found['head.weight'] == (1, 0.1)
    assert found['head.bias'] == (1, 0)


def test_groups_are_few_and_frozen_parameters_are_left_out():
    model = Model(frozen_stages=2)
    wrapper = build(model)
    groups = [
        g for g in wrapper.optimizer.param_groups if g['params'][0].numel()
    ]
    assert len(groups) == len({(g['lr'], g['weight_decay']) for g in groups})
    assert set(settings(model, wrapper)) == {
        name for name, p in model.named_parameters() if p.requires_grad
    }


def test_custom_keys_multiply_and_the_longest_counts():
    model = Model()
    found = settings(model, build(model, custom_keys={
        'backbone': dict(lr_mult=0.1),
        'backbone.pools': dict(lr_mult=10., decay_mult=2.),
    }))
    assert found['backbone.blocks.3.mlp.fc1.weight'] == pytest.approx(
        (0.05, 0.1))
    assert found['backbone.pools.2.weight'] == pytest.approx((10 / 4, 0.2))
    assert found['head.weight'] == (1, 0.1)


def test_flat_decay_mult():
    model = Model()
    found = settings(model, build(model, flat_decay_mult=1.))
    assert {decay for _, decay in found.values()} == {0.1}


def test_names_inside_of_wrappers():
    """FSDP and torch's activation checkpointing wrap blocks."""

    class Wrapper(nn.Module):

        def __init__(self, module):
            super().__init__()
            self._checkpoint_wrapped_module = module

    plain, other = Model(), Model()
    other.backbone.blocks[1] = Wrapper(other.backbone.blocks[1])
    keys = {'blocks.1.mlp': dict(lr_mult=3.)}
    expected = settings(plain, build(plain, custom_keys=keys))
    assert len(set(expected.values())) > 8
    assert expected == {
        name.replace('_checkpoint_wrapped_module.', ''): setting for
        name, setting in settings(other, build(other, custom_keys=keys)
                                  ).items()}


def test_a_step_moves_every_layer_by_its_rate():
    model = Model()
    wrapper = build(model, dict(type='SGD', lr=1.))
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    for param in model.parameters():
        param.grad = torch.ones_like(param)
    wrapper.step()
    for name, (rate, _) in settings(model, wrapper).items():
        moved = before[name] - model.get_parameter(name)
        torch.testing.assert_close(moved, torch.full_like(moved, rate))


@pytest.mark.parametrize('pattern', [
    'imagenet/hpvit-base-conv-mae_*.py',
    'coco/hpvit-base-conv-mae_cascade*.py',
    'ade20k/hpvit-base-avg-mae_upernet_*.py'])
def test_real_models(pattern):
    """Complete and monotone on what the configs of each library build."""
    cfg = Config.fromfile(min(CONFIGS.glob(pattern)))
    init_default_scope(cfg.default_scope)
    try:
        with torch.device('meta'):
            model = MODELS.build(cfg.model)
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    finally:
        DefaultScope._instance_dict.pop(cfg.default_scope, None)
    found = settings(model, wrapper)
    assert set(found) == {name for name, _ in model.named_parameters()}
    base = cfg.optim_wrapper.optimizer
    number = len(model.backbone.blocks)
    rates = [
        found[f'backbone.blocks.{i}.attn.proj.weight'][0]
        for i in range(number)
    ]
    assert rates == sorted(rates) and len(set(rates)) == number
    assert all(group['fused'] for group in wrapper.optimizer.param_groups)
    decay = cfg.optim_wrapper.paramwise_cfg.layer_decay_rate
    assert rates[-1] == pytest.approx(base.lr * decay)
    assert found['backbone.pos_embed'][0] == pytest.approx(
        base.lr * decay**(number + 1))
    for name, (rate, weight_decay) in found.items():
        if not name.startswith('backbone.'):
            assert rate == base.lr
        flat = model.get_parameter(name).ndim == 1
        assert weight_decay == (
            0 if flat or name == 'backbone.pos_embed' else base.weight_decay)


def trained(fused, steps, state=None, seed=0):
    """A model and its optimizer after some steps of AdamW."""
    torch.manual_seed(seed)
    model = Model()
    wrapper = build(model, dict(
        type='AdamW', lr=1e-2, weight_decay=0.1, fused=fused))
    if state:
        model.load_state_dict(state[0])
        wrapper.load_state_dict(state[1])
    # as in float16, whose scaler asks whether the optimizer is fused
    scaler = torch.amp.GradScaler('cpu', init_scale=1.)
    for step in steps:
        torch.manual_seed(step)
        for param in model.parameters():
            param.grad = scaler.scale(torch.randn_like(param))
        scaler.step(wrapper.optimizer)
        scaler.update()
    return model, wrapper


def assert_same(one, other, fused):
    """One is in the state of the other, and computes as it was told."""
    (model, wrapper), (expected, expected_wrapper) = one, other
    torch.testing.assert_close(model.state_dict(), expected.state_dict(),
                               rtol=1e-5, atol=1e-6)
    found, expected = (w.optimizer.state_dict()
                       for w in (wrapper, expected_wrapper))
    torch.testing.assert_close(found['state'], expected['state'])
    assert {group['fused'] for group in found['param_groups']} == {fused}


def test_a_fused_step_is_the_same():
    assert_same(trained(True, range(6)), trained(None, range(6)), True)


@pytest.mark.parametrize('before, after', [(None, True), (True, None)])
def test_resuming_what_was_computed_otherwise(before, after, tmp_path):
    """The config says how it goes on, and the checkpoint from where."""
    model, wrapper = trained(before, range(3))
    torch.save((model.state_dict(), wrapper.state_dict()), tmp_path / 'a')
    state = torch.load(tmp_path / 'a', weights_only=True)
    resumed = trained(after, range(3, 6), state, seed=1)
    assert_same(resumed, trained(None, range(6)), after)


def test_a_state_of_other_groups_is_refused():
    state = trained(True, range(1))[1].state_dict()
    state['param_groups'].append(state['param_groups'][0])
    with pytest.raises(ValueError, match='group'):
        trained(True, range(0))[1].load_state_dict(state)


@pytest.mark.parametrize('wrong, word', [
    (dict(layer_decay_rate=None), 'layer_decay_rate'),
    (dict(layer_decay_rate=1.5), 'layer_decay_rate'),
    (dict(layer_decay_rate=0), 'layer_decay_rate'),
    (dict(num_layers=12), 'num_layers'),
    (dict(custom_keys={'bias': dict(decay_multi=0.)}), 'decay_multi'),
])
def test_wrong_settings_are_named(wrong, word):
    with pytest.raises(UserError, match=word):
        build(Model(), **wrong)


def test_a_backbone_without_depths_is_named():
    model = Model()
    model.backbone = nn.Linear(2, 2)
    with pytest.raises(UserError, match='get_layer_depth'):
        build(model)
