"""Rotary positions, against those of timm and transformers."""
import itertools

import pytest
import torch
import torch.nn.functional as F

from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT
from hpvit_mm.models.layers import Rotary, channel_order
from hpvit_mm.models.layers.rotary import rotate

GRID, HEAD = (5, 3), 16
MINI = dict(embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64,
            abs_pos=False, rotary=dict(coords='centre', base=100.))
INDEX = dict(coords='index', base=10000., grid=16)
LEARNED = dict(coords='index', base=10., learned=True)


def places(height, width):
    """(H * W, 2)"""
    return torch.cartesian_prod(torch.arange(height, dtype=torch.float64),
                                torch.arange(width, dtype=torch.float64))


def timm_table(kind, **kwargs):
    from timm.layers import create_rope_embed
    return create_rope_embed(rope_type=kind, dim=HEAD, num_heads=1,
                             feat_shape=GRID, **kwargs).get_embed()


@pytest.mark.parametrize('own, order, style, kind, options', [
    (dict(coords='centre', base=100.), 'yx', 'half', 'dinov3',
     dict(temperature=100., rotate_half=True)),
    (INDEX, 'yx', 'interleaved', 'cat',
     dict(in_pixels=False, ref_feat_shape=(16, 16))),
    (dict(coords='index', base=100.), 'xy', 'interleaved', 'cat',
     dict(in_pixels=False, temperature=100., grid_indexing='xy')),
    (dict(coords='index', base=10000., offset=1.), 'xy', 'interleaved', 'cat',
     dict(in_pixels=False, grid_indexing='xy', grid_offset=1.,
          ref_feat_shape=GRID))])
def test_the_scores_are_timms(own, order, style, kind, options):
    from timm.layers import apply_rot_embed_cat
    table = timm_table(kind, **options).double()
    q, k = torch.randn(2, 1, 1, GRID[0] * GRID[1], HEAD, dtype=torch.float64)
    half = style == 'half'
    theirs = apply_rot_embed_cat(q, table, half=half) @ apply_rot_embed_cat(
        k, table, half=half).transpose(-2, -1)
    channels = channel_order(HEAD, order, style)
    rope = Rotary(HEAD, **own)(places(*GRID), GRID)
    q, k = (rotate(one[..., channels], rope) for one in (q, k))
    torch.testing.assert_close(q @ k.transpose(-2, -1), theirs, rtol=0,
                               atol=5e-5)  # their tables are in fp32


def test_the_rotation_is_transformers():
    from transformers import DINOv3ViTConfig
    from transformers.models.dinov3_vit import modeling_dinov3_vit as theirs
    module = theirs.DINOv3ViTRopePositionEmbedding(DINOv3ViTConfig(
        hidden_size=HEAD, num_attention_heads=1, patch_size=16)).eval()
    cos, sin = module(torch.zeros(1, 3, GRID[0] * 16, GRID[1] * 16))
    q = torch.randn(1, 1, GRID[0] * GRID[1], HEAD)
    expected, _ = theirs.apply_rotary_pos_emb(q, q, cos, sin)
    rope = Rotary(HEAD, 'centre', 100.)(places(*GRID).float(), GRID)
    torch.testing.assert_close(rotate(q, rope), expected, rtol=0, atol=1e-5)


def network(**kwargs):
    torch.manual_seed(0)
    model = HPViT(**dict(dict(
        arch=MINI, stage_depths=(4, 0), attention='dilated', out_indices=0,
        pooling='avg'), **kwargs)).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize('prefix', [
    {}, dict(with_cls_token=True, num_registers=2)])
@pytest.mark.parametrize('rotary', [MINI['rotary'], INDEX, LEARNED])
@pytest.mark.parametrize('size', [(64, 64), (64, 32)])
@torch.no_grad()
def test_dilated_is_the_plain_vit_on_shifted_images(rotary, size, prefix):
    """Nothing tells the plain ViT of the shift, not even prefix tokens."""
    arch = dict(MINI, rotary=rotary, **prefix)
    dense = network(arch=arch)
    plain = network(arch=arch, patch_stride=16, stage_depths=(4, ))
    plain.load_state_dict(dense.state_dict())
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    ours, padded = dense(x)[0], F.pad(x, (6, 6, 6, 6))
    for dy, dx in itertools.product(range(4), repeat=2):
        shifted = padded[..., 4 * dy:4 * dy + size[0],
                         4 * dx:4 * dx + size[1]]
        torch.testing.assert_close(ours[..., dy::4, dx::4], plain(shifted)[0])


def seen_places(model, x):
    """Places of the tokens whenever angles are computed, (H, W, 2) each."""
    seen = []
    model.rotary.register_forward_pre_hook(
        lambda module, args: seen.append(args[0]))
    model(x)
    return seen


@pytest.mark.parametrize('size', [(64, 64), (52, 72), (40, 100)])
@torch.no_grad()
def test_a_pooled_token_is_at_the_mean_of_its_tokens(size):
    model = network(stage_depths=(1, 1, 1, 1), attention='global',
                    out_indices=3)
    first, *pooled = (one.unflatten(2, grid)[0, 0] for one, grid in zip(
        seen_places(model, torch.randn(1, 3, *size, dtype=torch.float64)),
        ((-(-size[0] // s), -(-size[1] // s)) for s in (4, 8, 16, 32))))
    # centres of the cells, in patches from the centre of the first one
    torch.testing.assert_close(
        first[:, 0, 0],
        (torch.arange(len(first), dtype=torch.float64) * 4 + 2 - 8) / 16)
    for one in pooled:
        # (h, w, 2) -> (1, 2, h, w) -> the same, half as large
        first = F.avg_pool2d(F.pad(
            first.permute(2, 0, 1)[None],
            (0, first.shape[1] % 2, 0, first.shape[0] % 2), 'replicate'),
            2)[0].permute(1, 2, 0)
        torch.testing.assert_close(one, first)


@torch.no_grad()
def test_all_layouts_have_the_same_places():
    """Dilated, in windows or not, with padding: regrouped, they are equal."""
    x = torch.randn(1, 3, 52, 76, dtype=torch.float64)
    for kinds in ('dilated', 'window', ('global', 'window', 'dilated',
                                        'global')):
        model = network(stage_depths=(1, 1, 1, 1), attention=kinds,
                        window_size=3, out_indices=3)
        reference = network(stage_depths=(1, 1, 1, 1), attention='global',
                            out_indices=3)
        grids = [(13, 19), (7, 10), (4, 5), (2, 3)]
        for s, (one, other) in enumerate(zip(seen_places(model, x),
                                             seen_places(reference, x))):
            layout = model._layout(s, grids[s])
            torch.testing.assert_close(layout.ungroup(one)[0].flatten(0, 1),
                                       other[0, 0])


@pytest.mark.parametrize('rotary', [MINI['rotary'], LEARNED])
@torch.no_grad()
def test_visible_units_are_rotated_as_in_the_whole_image(rotary):
    model = network(stage_depths=(2, 1, 1), attention=('dilated', 'dilated',
                                                       'global'),
                    out_indices=(0, 2), arch=dict(MINI, with_cls_token=True,
                                                  rotary=rotary))
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    for whole, visible in zip(model(x), model(x, mask)):
        step = whole.shape[-1] // 4
        # (B, C, H, W) -> (B, C, 4, h, 4, w) -> (B, V, t, C)
        whole = whole.unflatten(3, (4, step)).unflatten(
            2, (4, step)).permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(
                1, 2)
        torch.testing.assert_close(visible, whole)


@pytest.mark.parametrize('rotary', [MINI['rotary'], LEARNED])
def test_angles_are_not_rounded_by_autocast(rotary):
    model = network(arch=dict(MINI, num_registers=1, rotary=rotary)).float()
    ropes = []
    model.blocks[0].register_forward_pre_hook(
        lambda module, args: ropes.append(args[3]))
    x = torch.randn(1, 3, 64, 64)
    with torch.autocast('cpu', torch.bfloat16):
        model(x)[0].sum().backward()
    assert ropes[0].dtype == torch.float32
    assert all(p.grad is not None for n, p in model.named_parameters())


def test_compiled_blocks_recomputed_or_not_do_the_same():
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    model = network(arch=dict(MINI, qkv_bias='qv', num_registers=1))
    recomputed = network(arch=dict(MINI, qkv_bias='qv', num_registers=1),
                         with_cp=True)
    expected = model(x)[0]
    expected.sum().backward()
    recomputed(x)[0].sum().backward()
    for one, other in zip(model.parameters(), recomputed.parameters()):
        torch.testing.assert_close(one.grad, other.grad)
    for block in model.blocks:
        block.compile(fullgraph=True, backend='eager')
    torch.testing.assert_close(model(x)[0], expected)


def test_learned_places_are_those_of_timm():
    from timm.layers import RotaryEmbeddingMixed
    theirs = RotaryEmbeddingMixed(2 * HEAD, 3, 2, feat_shape=GRID).double()
    model = Rotary(HEAD, 'index', 10., learned=(3, 2)).double()
    assert model.freqs.shape == theirs.freqs.shape
    torch.testing.assert_close(  # as far as chance goes
        model.freqs.square().sum(0), theirs.freqs.square().sum(0))
    model.load_state_dict(dict(freqs=theirs.freqs))
    for block, table in enumerate(theirs.get_embed(GRID)):
        # (heads, H * W, 2 * d), each of d/2 angles twice
        sin, cos = table.chunk(2, dim=-1)
        # (2, H * W, heads, d/2) -> (2, heads, H * W, d/2)
        rope = model(places(*GRID), GRID, block).transpose(1, 2)
        torch.testing.assert_close(  # theirs is in fp32
            rope, torch.stack([cos, sin])[..., ::2], rtol=0, atol=1e-6)


def test_learned_places_are_embeddings():
    model = network(arch=dict(MINI, rotary=LEARNED), frozen_stages=0,
                    stage_depths=(2, 2))
    assert model.rotary.freqs.shape == (2, 2, 2, 8)  # of the blocks in use
    assert not model.rotary.freqs.requires_grad
    assert model.get_layer_depth('rotary.freqs')[0] == 0
    assert 'rotary.freqs' in model.no_decay


def test_a_bias_of_the_keys_cannot_be_trained():
    """Behind a rotation it would change what they attend to."""
    model = network(arch=dict(MINI, qkv_bias='qv'))
    names = {name for name, _ in model.blocks[0].attn.named_parameters()}
    assert names == {'q_bias', 'v_bias', 'qkv.weight', 'proj.weight',
                     'proj.bias'}


@pytest.mark.parametrize('arch, says', [
    ('dinov3-bas', "nearest ones are 'dinov3-base'"),
    ('DINOv3-Base', "nearest ones are 'dinov3-base'"),
    ('vit_base_patch16_dinov3', "nearest ones are 'dinov3-base'"),
    ('giant', 'there is no arch'),
    (dict(MINI, rotary=dict(kind='centre')), 'rotary of arch has no entry'),
    (dict(MINI, rotary=dict(coords='polar')), 'coords of rotary'),
    (dict(MINI, rotary=dict(coords='index', order='xy', learned=True)),
     "order of rotary must be 'yx'"),
    (dict(MINI, act='relu'), 'act of arch'),
    (dict(MINI, heads=3), "arch has no entry 'heads'"),
    (dict(base='dinov4-base'), "'dinov3-base'"),
    (dict(MINI, embed_dims=36, num_heads=2), 'multiple of 4 channels')])
def test_wrong_architectures_are_named(arch, says):
    with pytest.raises(UserError, match=says):
        HPViT(arch, stage_depths=(4, ), patch_stride=16)


def test_patches_of_14_need_another_stride():
    with pytest.raises(UserError, match='set patch_size=16.*resized'):
        HPViT('dinov2-small', patch_size=14)
    with torch.device('meta'):
        assert HPViT('dinov2-small').patch_size == 16  # by itself
        model = HPViT('dinov2-small', patch_stride=14, stage_depths=(12, ))
    assert model.patch_size == 14 and model.pos_grid == (37, 37)
