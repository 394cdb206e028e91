"""The optimised network computes what the straightforward one does."""
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
     dict(attention='window', window_size=3),
     dict(attention='global', out_indices=3),
     dict(stage_depths=(0, 3, 0, 3)),
     dict(attention=('window', ('dilated', 'global'), ('window', 'global'),
                     'global'), window_size=5),
     dict(layer_scale_init_value=0.5, pre_norm=True, out_indices=(0, 2),
          drop_path_rate=0.5)),
    ((64, 96), (50, 71)))) + [
    ('avg', dict(patch_stride=16, stage_depths=(6, ),
                 out_type='avg_featmap'), (64, 64))]


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
def test_outputs_and_gradients(pooling, options, size):
    """In float64, where the order of sums hardly matters."""
    model = build(pooling, options, torch.float64).train()
    x = torch.randn(2, 3, *size, dtype=torch.float64,
                    generator=torch.Generator().manual_seed(1))
    torch.manual_seed(3)  # of the branches that are dropped
    ours = model(x)
    torch.manual_seed(3)
    theirs = straightforward.forward(model, x)
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs):
        assert one.shape == other.shape and one.is_contiguous()
        assert relative(one, other) < 1e-12
    for (name, _), one, other in zip(
            model.named_parameters(), gradients(model, ours),
            gradients(model, theirs)):
        assert relative(one, other) < 1e-12, name


@pytest.mark.parametrize('kind, grid, window_size', [
    ('dilated', (16, 16), 4), ('dilated', (14, 18), 3),
    ('dilated', (15, 16), 4), ('window', (16, 16), 4), ('window', (12, 12), 3),
    ('window', (15, 16), 4), ('global', (6, 10), 4), ('global', (5, 10), 4)])
@pytest.mark.parametrize('num_prefix', [0, 2])
def test_pooled_tokens_are_in_the_pooled_layout(kind, grid, window_size,
                                                num_prefix):
    layout = TokenLayout.create(kind, grid, 4, window_size)
    maps = torch.randn(2, *grid, 8, dtype=torch.float64)
    x = layout.group(maps)
    x = torch.cat([torch.ones_like(x)[:, :, :num_prefix], x], dim=2)
    pooled = pool_tokens(x, layout, AvgPooling(), num_prefix)
    assert (pooled[:, :, :num_prefix] == 1).all()
    expected = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(
        maps.permute(0, 3, 1, 2), (0, grid[1] % 2, 0, grid[0] % 2),
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
