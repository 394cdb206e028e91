"""What makes HPViT fast changes nothing that it computes."""
import itertools

import pytest
import straightforward
import torch

from hpvit_mm.models import HPViT
from hpvit_mm.models.layers import AvgPooling, TokenLayout, pool_tokens

MINI = dict(
    embed_dims=32, num_layers=6, num_heads=2, feedforward_channels=64)
CASES = list(itertools.product(
    ('conv', 'avg'),
    (dict(), dict(out_type='avg_featmap'), dict(out_indices=(1, 3)),
     dict(attention='window'), dict(attention='global', out_indices=3),
     dict(window_size=3), dict(stage_depths=(0, 3, 0, 3)),
     dict(stage_depths=(2, 2, 2, 0), out_type='avg_featmap'),
     dict(layer_scale_init_value=0.5, pre_norm=True, out_indices=(0, 2),
          drop_path_rate=0.5),
     dict(patch_stride=16, stage_depths=(6, ), out_type='avg_featmap')),
    ((64, 64), (96, 64), (50, 71), (128, 128))))


def build(pooling, options, dtype):
    torch.manual_seed(0)
    model = HPViT(**dict(dict(
        arch=MINI, stage_depths=(1, 2, 2, 1), img_size=64, pooling=pooling),
        **options)).to(dtype)
    with torch.no_grad():
        for param in model.parameters():
            param.add_(torch.randn_like(param) * 0.05)
    return model


def gradients(model, outs):
    """Of a loss in which every value of the outputs has its own weight."""
    torch.manual_seed(2)
    loss = sum((out * torch.randn(out.shape, dtype=out.dtype)).sum()
               for out in outs)
    return torch.autograd.grad(loss, tuple(model.parameters()))


def relative(ours, theirs):
    return ((ours - theirs).norm() / theirs.norm().clamp(min=1e-30)).item()


@pytest.mark.parametrize('pooling, options, size', CASES)
@pytest.mark.parametrize('dtype, tolerance, of_one', [
    (torch.float64, 1e-12, 1e-12),
    # some gradients are sums in which much is cancelled
    (torch.float32, 1e-6, 5e-6)])
def test_outputs_and_gradients(pooling, options, size, dtype, tolerance,
                               of_one):
    """The gradient as a whole, and that of each parameter."""
    model = build(pooling, options, dtype).train()
    x = torch.randn(2, 3, *size, dtype=dtype,
                    generator=torch.Generator().manual_seed(1))
    torch.manual_seed(3)  # of the branches that are left out
    ours = model(x)
    torch.manual_seed(3)
    theirs = straightforward.forward(model, x)
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs):
        assert one.shape == other.shape and one.is_contiguous()
        assert relative(one, other) < tolerance
    ours, theirs = gradients(model, ours), gradients(model, theirs)
    for (name, _), one, other in zip(model.named_parameters(), ours, theirs):
        assert relative(one, other) < of_one, name
    assert relative(*(torch.cat([one.flatten() for one in both])
                      for both in (ours, theirs))) < tolerance
    with torch.no_grad():
        for one, other in zip(model.eval()(x),
                              straightforward.forward(model, x)):
            assert relative(one, other) < tolerance


@pytest.mark.parametrize('kind, grid, window_size, groups', [
    ('dilated', (16, 16), 4, 8), ('dilated', (32, 16), 4, 16),
    # padded, and of an odd side
    ('dilated', (14, 18), 3, 32), ('dilated', (15, 16), 4, 16),
    ('window', (16, 16), 4, 1), ('window', (14, 16), 4, 1),
    ('window', (12, 12), 3, 16), ('window', (15, 16), 4, 16),
    ('global', (6, 10), 4, 1), ('global', (5, 10), 4, 1)])
@pytest.mark.parametrize('num_prefix', [0, 2])
def test_units_of_groups_pool_alone(kind, grid, window_size, groups,
                                    num_prefix):
    """And what is pooled has the order of the layout that says so."""
    layout = TokenLayout.create(kind, grid, 4, window_size)
    unit = layout.pooling_unit
    assert unit.num_groups == groups and layout.num_groups % groups == 0
    images = torch.randn(2, *grid, 8, dtype=torch.float64)
    x = layout.group(images)
    x = torch.cat([torch.randn_like(x)[:, :, :num_prefix], x], dim=2)
    pooled = pool_tokens(x, layout, AvgPooling(), num_prefix)
    parts = pool_tokens(x.reshape(-1, groups, *x.shape[2:]), unit,
                        AvgPooling(), num_prefix)
    torch.testing.assert_close(parts.reshape(pooled.shape), pooled)
    assert pooled.shape[1] == layout.pooled.num_groups
    expected = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(
        images.permute(0, 3, 1, 2), (0, grid[1] % 2, 0, grid[0] % 2),
        mode='replicate'), 2)
    torch.testing.assert_close(layout.pooled.ungroup(
        pooled[:, :, num_prefix:]).permute(0, 3, 1, 2), expected)


def test_the_gradient_of_the_image():
    model = build('avg', {}, torch.float64)
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    ours, = torch.autograd.grad(sum(out.sum() for out in model(x)), x)
    theirs, = torch.autograd.grad(sum(
        out.sum() for out in straightforward.forward(model, x)), x)
    assert relative(ours, theirs) < 1e-12


@pytest.mark.parametrize('with_cp', [False, True])
def test_fc2_sees_averages_where_that_is_the_same(with_cp):
    """And only there: not in dropout, outputs, or before a convolution."""
    def rows(**options):
        model = build(options.pop('pooling', 'avg'), dict(
            dict(out_type='avg_featmap', with_cp=with_cp), **options),
            torch.float32).train()
        seen = []
        for block in model.blocks:
            block.mlp.fc2.register_forward_hook(
                lambda _, inputs, __: seen.append(inputs[0].numel() // 64))
        model(torch.randn(1, 3, 64, 64))
        return seen

    whole = [256, 64, 64, 16, 16, 4]
    assert rows() == [64, 64, 16, 16, 4, 1]
    assert rows(pooling='conv') == whole[:5] + [1]
    assert rows(drop_rate=0.1) == whole
    assert rows(out_indices=(1, 3)) == [64, 64, 64, 16, 4, 1]
    assert rows(out_type='featmap') == whole
    assert rows(out_type='featmap', out_indices=(0, 3)) \
        == [256, 64, 16, 16, 4, 4]
