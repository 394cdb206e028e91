"""Properties of every backbone of this package, on tiny ones."""
import copy

import pytest
import torch
from torch import nn

from hpvit_mm.analysis.count import count_step
from hpvit_mm.engine import LayerDecayOptimWrapperConstructor
from hpvit_mm.models import Hiera, HiViT, HPViT

BACKBONES = {
    'HPViT': (HPViT, dict(
        arch=dict(embed_dims=16, num_layers=5, num_heads=2,
                  feedforward_channels=32), stage_depths=(1, 1, 2, 1))),
    'plain ViT': (HPViT, dict(
        arch=dict(embed_dims=16, num_layers=3, num_heads=2,
                  feedforward_channels=32),
        stage_depths=(3, ), patch_stride=16, with_cls_token=True)),
    'HiViT': (HiViT, dict(
        arch=dict(embed_dims=16, num_heads=2, depths=(1, 1, 2)),
        relative_position=True, out_indices=(0, 1, 2))),
    'Hiera': (Hiera, dict(
        arch=dict(embed_dims=8, num_heads=1, depths=(1, 1, 2, 1)))),
}


@pytest.fixture(params=BACKBONES)
def build(request):
    kind, kwargs = BACKBONES[request.param]

    def build(**more):
        torch.manual_seed(0)
        return kind(**dict(copy.deepcopy(kwargs), img_size=64, **more))

    torch.manual_seed(0)
    return build


def loss_of(outs):
    return sum(out.square().mean() for out in outs)


def mask_of(model):
    """Half of the units of images of 64 x 128 pixels."""
    units = 64 // model.mask_unit
    return (torch.arange(2 * units * units) % 2 == 0).view(
        1, units, 2 * units).expand(2, -1, -1)


@pytest.mark.parametrize('masked', [False, True])
def test_activation_checkpointing_changes_nothing(build, masked):
    x, grads = torch.randn(2, 3, 64, 128), []
    for with_cp in (False, True):
        model = build(with_cp=with_cp)
        outs = model(x, mask_of(model)) if masked else model(x)
        loss_of(outs).backward()
        grads.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(*grads)


def test_layer_depths(build):
    model = build()
    found = {name: model.get_layer_depth(name)
             for name, _ in model.named_parameters()}
    depths = [depth for depth, _ in found.values()]
    number = len(model.blocks) - sum(
        len(stage.pooling) for stage in model.stages
        if stage.pooling and stage.pooling[0].startswith('blocks'))
    assert {count for _, count in found.values()} == {number + 2}
    assert set(depths) == set(range(number + 2))
    names = [name for name in found if name.startswith('blocks.')]
    assert [found[name] for name in names] == sorted(
        found[name] for name in names)
    assert set(model.no_weight_decay()) <= set(found)


def test_what_is_frozen_stays(build):
    for frozen in range(-1, len(build().strides) + 1):
        model = nn.Module()
        model.backbone = build(frozen_stages=frozen).train()
        model.head = nn.Linear(1, 1)
        wrapper = LayerDecayOptimWrapperConstructor(
            dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.1)),
            dict(layer_decay_rate=0.9))(model)
        before = copy.deepcopy(model.backbone.state_dict())
        loss = loss_of(model.backbone(torch.randn(2, 3, 64, 64)))
        wrapper.update_params(
            loss + model.head(torch.ones(1, 1)).square().sum())
        parts = [] if frozen < 0 else list(model.backbone.stem)
        for stage in model.backbone.stages[:max(frozen, 0)]:
            parts += stage.pooling + stage.blocks + stage.norms
        for name, one in model.backbone.named_parameters():
            still = any(f'{name}.'.startswith(f'{part}.') for part in parts)
            assert torch.equal(one, before[name]) == still, name


def test_its_own_checkpoint(build, tmp_path):
    source = build()
    with torch.no_grad():
        for one in source.parameters():
            one.add_(torch.randn_like(one))
    torch.save(dict(state_dict={
        f'backbone.{name}': one for name, one in
        source.state_dict().items()}), tmp_path / 'a.pth')
    model = build(init_cfg=dict(
        type='Pretrained', checkpoint=str(tmp_path / 'a.pth')))
    model.check_pretrained()
    model.init_weights()
    torch.testing.assert_close(model.state_dict(), source.state_dict(),
                               rtol=0, atol=0)


def test_averages_are_those_of_the_maps(build):
    maps, averages = build(), build(out_type='avg_featmap')
    for norm in (*maps.norms, ):
        maps.norms[norm] = nn.Identity()
    for norm in (*averages.norms, ):
        averages.norms[norm] = nn.Identity()
    x = torch.randn(2, 3, 50, 70)
    torch.testing.assert_close(averages(x)[-1], maps(x)[-1].mean((2, 3)))
    assert all(out.is_contiguous() for out in maps(x))


@pytest.mark.parametrize('masked', [False, True])
def test_bfloat16(build, masked):
    model = build()
    x = torch.randn(2, 3, 64, 128)
    args = (x, mask_of(model)) if masked else (x, )
    expected = model(*args)
    with torch.autocast('cpu', torch.bfloat16):
        outs = model(*args)
    for out, one in zip(outs, expected):
        assert (out.float() - one).abs().mean() < 0.05 * one.abs().mean()
    loss_of([out.float() for out in outs]).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_it_is_costed(build):
    model = nn.Module()
    model.backbone = build()
    count = count_step(model, (64, 64), 2)
    assert count.forward['backbone'] > 0 and count.backward > 0
    assert all(name in count.shapes for stage in model.backbone.stages
               for name in stage.blocks)
