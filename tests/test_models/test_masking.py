"""HPViT on visible units alone."""
import pytest
import torch
import torch.nn.functional as F

from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

ARCH = dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def build(**kwargs):
    model = HPViT(**dict(dict(arch=ARCH, img_size=64), **kwargs))
    with torch.no_grad():
        for one in model.parameters():
            one.add_(torch.randn_like(one) * 0.1)
    return model.eval()


def random_mask(*shape, visible):
    """As many visible units in each image."""
    ranks = torch.rand(shape[0], shape[1] * shape[2]).argsort(1).argsort(1)
    return (ranks >= visible).view(shape)


def units(out, grid):
    """(B, C, H, W) -> (B, units, tokens, C)"""
    out = out.unflatten(3, (grid[1], -1)).unflatten(2, (grid[0], -1))
    return out.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)


KINDS = [
    dict(stage_depths=(1, 1, 1, 1)),
    dict(stage_depths=(1, 1, 1, 1), pooling='avg', with_cls_token=True,
         num_registers=2, layer_scale_init_value=0.5, pre_norm=True),
    dict(stage_depths=(2, 0, 2), out_indices=(0, 2)),
    dict(stage_depths=(1, 2, 1), out_blocks=(0, 1, 2)),
    dict(stage_depths=(4, ), patch_stride=16, with_cls_token=True),
    dict(stage_depths=(2, 2), patch_stride=8, patch_size=8),
    # DINOv3's, with prefix tokens
    dict(stage_depths=(1, 1, 1, 1), with_cls_token=True, arch=dict(
        ARCH, abs_pos=False, rotary=dict(coords='centre'))),
]


@pytest.mark.parametrize('kwargs', KINDS)
def test_nothing_hidden_is_the_whole(kwargs):
    model = build(**kwargs)
    x = torch.randn(2, 3, 64, 96)
    grid = (64 // model.mask_unit, 96 // model.mask_unit)
    mask = torch.zeros(2, *grid, dtype=torch.bool)
    for out, whole in zip(model(x, mask), model(x)):
        torch.testing.assert_close(out, units(whole, grid))


@pytest.mark.parametrize('kwargs', [dict(), dict(with_cls_token=True)])
def test_each_group_is_the_plain_vit_on_a_shifted_image(kwargs):
    """On the visible patches alone, before the first pooling."""
    model = build(stage_depths=(4, ), **kwargs)
    plain = build(stage_depths=(4, ), patch_stride=16, **kwargs)
    plain.load_state_dict(model.state_dict())
    x = torch.randn(2, 3, 64, 96)
    mask = random_mask(2, 4, 6, visible=7)
    out, = model(x, mask)
    position = model._position(model._layout(0, (16, 24)))[0]  # (G, T, C)
    padded = F.pad(x, (6, 6, 6, 6))
    plain.pos_grid = (4, 6)
    # (B, V, 4 * 4, C) -> (B, V, dy, dx, C)
    out = out.unflatten(2, (4, 4))
    for dy in range(4):
        for dx in range(4):
            plain.pos_embed.data = position[4 * dy + dx][None]
            shifted = padded[..., 4 * dy:, 4 * dx:][..., :64, :96]
            # the plain ViT on hidden patches that are cut out
            tokens = F.conv2d(shifted, plain.patch_embed.proj.weight,
                              plain.patch_embed.proj.bias, stride=16)
            tokens = tokens.flatten(2).transpose(1, 2) + plain.pos_embed
            tokens = tokens[~mask.flatten(1)].view(2, 1, 7, -1)
            if model.num_prefix:
                prefix = plain._prefix().expand(2, 1, -1, -1)
                tokens = torch.cat([prefix, tokens], dim=2)
            for block in plain.blocks:
                tokens = block(tokens)
            expected = plain.norms['0'](tokens[:, 0, model.num_prefix:])
            torch.testing.assert_close(out[:, :, dy, dx], expected)


@pytest.mark.parametrize('kwargs', KINDS)
def test_hidden_patches_are_not_seen(kwargs):
    """But for the border that patches of shifted images reach into."""
    model = build(**kwargs)
    unit, reach = model.mask_unit, (model.patch_size - model.strides[0]) // 2
    x = torch.randn(2, 3, 128, 96)
    mask = random_mask(2, 128 // unit, 96 // unit, visible=2)
    outs = model(x, mask)
    visible = ~mask.repeat_interleave(unit, 1).repeat_interleave(unit, 2)
    near = F.max_pool2d(visible.float(), 2 * reach + 1, 1, reach) > 0
    y = torch.where(near[:, None], x, torch.randn_like(x))
    torch.testing.assert_close(model(y, mask), outs)
    model.train()
    sum(out.square().mean() for out in model(x, mask)).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize('kwargs, size, says', [
    (dict(stage_depths=(1, 1, 1, 1)), 48, 'multiples of the mask unit of 32'),
    (dict(stage_depths=(1, 1, 1, 1), window_size=2), 64, 'stage 0 .*dilated'),
    (dict(stage_depths=(1, 1, 1, 1), attention='global'), 64, 'stage 0'),
    (dict(stage_depths=(4, ), patch_stride=16, attention='window',
          window_size=2), 64, 'stage 0 .*global')])
def test_what_cannot_be_masked(kwargs, size, says):
    model = build(**kwargs)
    grid = size // model.mask_unit
    with pytest.raises(UserError, match=says):
        model(torch.randn(1, 3, size, size),
              torch.zeros(1, grid, grid, dtype=torch.bool))
