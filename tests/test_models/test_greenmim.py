"""Swin on visible units alone."""
import itertools
import re

import pytest
import torch
from mmengine.registry import DefaultScope, init_default_scope

from hpvit_mm.errors import UserError
from hpvit_mm.models.pretraining.greenmim import (MaskedSwin, Plan,
                                                  fill_groups, group_windows)
from hpvit_mm.registry import MODELS


@pytest.fixture(autouse=True)
def scope():
    torch.manual_seed(0)
    init_default_scope('mmpretrain')
    yield
    DefaultScope._instance_dict.pop('mmpretrain', None)


def build(**kwargs):
    kwargs = dict(dict(
        arch=dict(embed_dims=8, depths=[2, 2, 2, 1], num_heads=[1, 2, 2, 4]),
        img_size=128, window_size=4, stage_cfgs=[
            {}, {}, {}, dict(window_size=2)], drop_path_rate=0.,
        out_indices=(0, 1, 2, 3)), **kwargs)
    model = MaskedSwin(**kwargs)
    with torch.no_grad():
        for one in model.parameters():
            one.add_(torch.randn_like(one) * 0.1)
    model.eval()
    return model


def units(out, grid):
    """(B, C, H, W) -> (B, units, tokens, C)"""
    out = out.unflatten(3, (grid[1], -1)).unflatten(2, (grid[0], -1))
    return out.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)


@pytest.mark.parametrize('kwargs', [
    {}, dict(window_size=2, with_cp=True),
    # the last stage is one window, which is not shifted
    dict(arch=dict(embed_dims=8, depths=[1, 1, 1, 2],
                   num_heads=[1, 2, 2, 4]), stage_cfgs=[
        {}, {}, {}, dict(window_size=4)])])
def test_nothing_masked_is_plain_swin(kwargs):
    model = build(**kwargs)
    x = torch.randn(2, 3, 128, 128)
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    for out, whole in zip(model(x, mask), model(x)):
        torch.testing.assert_close(out, units(whole, (4, 4)), rtol=1e-4,
                                   atol=1e-5)


def to_timm(state):
    """mmpretrain's tensors by timm's names."""
    renames = {r'^stages\.(\d)\.blocks': r'layers.\1.blocks',
               r'attn\.w_msa\.': 'attn.', r'ffn\.layers\.0\.0': 'mlp.fc1',
               r'ffn\.layers\.1': 'mlp.fc2', r'^norm3': 'norm',
               r'patch_embed\.projection': 'patch_embed.proj'}
    found = {}
    for name, one in state.items():
        if 'downsample' in name:  # timm's is in front of the next stage
            # (..., C * (y, x)) -> (..., (x, y) * C)
            one = one.unflatten(-1, (-1, 2, 2)).movedim(-3, -1).transpose(
                -3, -2).flatten(-3)
            number = int(name.split('.')[1]) + 1
            name = f'layers.{number}.' + name.split('.', 2)[2]
        for pattern, new in renames.items():
            name = re.sub(pattern, new, name)
        if 'relative_position_index' not in name:
            found[name] = one
    return found


def test_nothing_masked_is_timms_swin():
    from timm.models.swin_transformer import SwinTransformer
    kwargs = dict(arch=dict(embed_dims=8, depths=[2, 2, 2, 1],
                            num_heads=[1, 2, 2, 4]), window_size=4,
                  stage_cfgs={}, out_indices=(3, ))
    model = build(**kwargs)
    other = SwinTransformer(
        img_size=128, embed_dim=8, depths=(2, 2, 2, 1),
        num_heads=(1, 2, 2, 4), window_size=4, num_classes=0).eval()
    other.load_state_dict(to_timm(model.state_dict()))
    x = torch.randn(2, 3, 128, 128)
    out, = model(x, torch.zeros(2, 4, 4, dtype=torch.bool))
    torch.testing.assert_close(
        out[:, :, 0], other.forward_features(x).flatten(1, 2), rtol=1e-4,
        atol=1e-5)


@pytest.mark.parametrize('shift', [0, 2])
def test_visible_pairs_of_a_window_attend_and_no_others(shift):
    """Brute force over all pairs of tokens, by mmpretrain's own mask."""
    from mmpretrain.models.utils import ShiftWindowMSA
    grid, window = (16, 8), 4
    visible = torch.rand(16, 8) < 0.3
    places = visible.nonzero()
    plan = Plan.create(places, grid, window, shift)
    number = torch.arange(128).view(1, 16, 8, 1)
    number = number.roll((-shift, -shift), (1, 2))
    tokens = ShiftWindowMSA.window_partition(number, window).flatten(1)
    mask = ShiftWindowMSA.get_attn_mask(grid, window, shift)
    expected = set()
    for w, members in enumerate(tokens.tolist()):
        for i, j in itertools.product(range(window**2), repeat=2):
            if mask is None or mask[w, i, j] == 0:
                expected.add((members[i], members[j]))
    ids = places[:, 0] * 8 + places[:, 1]
    expected = {(i, j) for i, j in expected
                if i in ids.tolist() and j in ids.tolist()}
    groups, size, _ = plan.allowed.shape
    at = ids[plan.order].view(groups, size)
    real = torch.zeros(groups * size, dtype=torch.bool)
    real[plan.slots] = True
    real = real.view(groups, size)
    found = [(int(at[g, i]), int(at[g, j]))
             for g, i, j in plan.allowed.nonzero().tolist() if real[g, i]]
    assert len(found) == len(set(found)) and set(found) == expected
    assert torch.equal(ids[plan.order][plan.slots], ids)


def test_hidden_pixels_change_nothing_and_gradients_reach_all():
    model = build(out_indices=(3, ))
    x = torch.randn(2, 3, 128, 128)
    mask = (torch.rand(1, 16).argsort(1) >= 5).view(1, 4, 4).expand(2, -1, -1)
    out, = model(x, mask)
    assert out.shape == (2, 5, 1, 64)
    hidden = mask.repeat_interleave(32, 1).repeat_interleave(32, 2)[:, None]
    torch.testing.assert_close(model(x.masked_fill(hidden, 9.), mask)[0], out)
    model.train()
    model(x, mask)[0].square().mean().backward()
    assert all(p.grad is not None for p in model.parameters())


def partitions(items):
    """All ways to divide items into groups."""
    if not items:
        yield []
        return
    first, *rest = items
    for some in partitions(rest):
        yield [[first], *some]
        for i in range(len(some)):
            yield [*some[:i], [first, *some[i]], *some[i + 1:]]


@pytest.mark.parametrize('seed', range(30))
def test_the_cost_is_that_of_an_exhaustive_search(seed):
    counts = torch.randint(1, 9, (6, ), generator=torch.Generator(
        ).manual_seed(seed)).tolist()
    least = {}
    for groups in partitions(list(range(6))):
        largest = max(sum(counts[one] for one in group) for group in groups)
        for size in range(largest, 2 * max(counts) + 1):
            least[size] = min(least.get(size, 6), len(groups))
    groups, size = group_windows(counts)
    assert sorted(sum(groups, [])) == list(range(6))
    assert all(sum(counts[one] for one in group) <= size for group in groups)
    for one, number in least.items():
        assert len(fill_groups(counts, one)) == number
    sizes = {n for n in least if max(counts) <= n <= sum(counts)}
    step = max(1, len(sizes) // 8)
    assert len(groups) * size**2 == min(
        least[n] * n**2 for n in sorted(sizes)[::step])


def test_it_learns():
    model = MODELS.build(dict(
        type='hpvit_mm.GreenMIM', mask_ratio=0.5, backbone=dict(
            type='hpvit_mm.MaskedSwin', img_size=64, window_size=2,
            arch=dict(embed_dims=16, depths=[1, 1, 2, 1],
                      num_heads=[1, 2, 2, 4])),
        neck=dict(type='hpvit_mm.MAEDecoder', in_channels=128, patch_size=32,
                  img_size=64, embed_dims=16, num_layers=1, num_heads=2),
        head=dict(type='MAEPretrainHead', patch_size=32, loss=dict(
            type='PixelReconstructionLoss', criterion='L2'))))
    y, x = torch.meshgrid(*[torch.linspace(0, 3, 64)] * 2, indexing='ij')
    angles, phases = torch.rand(2, 8, 3, 1, 1) * 6
    images = (angles.sin() * x + angles.cos() * y + phases).sin()
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], 5e-3)
    losses = []
    for _ in range(25):
        loss = model.loss(images, [])['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.93 * sum(losses[:5])


def test_its_checkpoint_is_one_of_mmpretrain(tmp_path):
    from mmpretrain.models import SwinTransformer
    model = build()
    torch.save(dict(state_dict={
        f'backbone.{name}': one for name, one in model.state_dict().items()
    }), tmp_path / 'a.pth')
    swin = SwinTransformer(
        arch=dict(embed_dims=8, depths=[2, 2, 2, 1], num_heads=[1, 2, 2, 4]),
        img_size=128, window_size=4, stage_cfgs=[
            {}, {}, {}, dict(window_size=2)], out_indices=(0, 1, 2, 3),
        init_cfg=dict(type='Pretrained', prefix='backbone.',
                      checkpoint=str(tmp_path / 'a.pth')))
    swin.init_weights()
    swin.eval()
    x = torch.randn(1, 3, 128, 128)
    torch.testing.assert_close(swin(x), model(x))


@pytest.mark.parametrize('kwargs, mask, says', [
    (dict(window_size=3), torch.zeros(2, 4, 4), 'no whole windows of 3'),
    ({}, torch.eye(2)[:, None].expand(2, 4, 2).repeat(1, 1, 2),
     'must share a mask')])
def test_what_cannot_be_masked(kwargs, mask, says):
    with pytest.raises(UserError, match=says):
        build(**kwargs)(torch.randn(2, 3, 128, 128), mask.bool())
