"""Properties of the backbone."""
import contextlib
import copy
import io
import itertools
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS, DefaultScope, init_default_scope

from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT
from hpvit_mm.models.backbones.archs import ARCHS
from hpvit_mm.models.layers import (TokenLayout, resample_pos_embed,
                                    token_layout)
from hpvit_mm.models.layers.block import DropPath

MINI = dict(
    embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64)


def mini(**kwargs) -> HPViT:
    """A backbone of four blocks whose parameters are all random."""
    options = dict(arch=MINI, stage_depths=(1, 1, 1, 1), img_size=64)
    options.update(kwargs)
    torch.manual_seed(0)
    model = HPViT(**options).eval()
    with torch.no_grad():
        for param in model.parameters():
            param.add_(torch.randn_like(param) * 0.05)
    return model


def plain(**kwargs) -> HPViT:
    """The plain ViT: one stage at the stride of the patches."""
    return mini(**dict(dict(patch_stride=16, stage_depths=(4, )), **kwargs))


def images(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


# ----------------------------------------------------------- a plain ViT


def peer_of(model: HPViT, arch: dict):
    """mmpretrain's VisionTransformer with the weights of a one-stage HPViT."""
    from mmpretrain.models.backbones import VisionTransformer
    peer = VisionTransformer(
        arch=dict(arch), img_size=64, patch_size=16, with_cls_token=False,
        out_type='featmap')
    renamed = {}
    for name, tensor in model.state_dict().items():
        for ours, theirs in (('patch_embed.proj', 'patch_embed.projection'),
                             ('blocks.', 'layers.'), ('.norm1', '.ln1'),
                             ('.norm2', '.ln2'),
                             ('mlp.fc1', 'ffn.layers.0.0'),
                             ('mlp.fc2', 'ffn.layers.1'),
                             ('norms.0', 'ln1')):
            name = name.replace(ours, theirs)
        renamed[name] = tensor
    peer.load_state_dict(renamed)
    peer.eval()  # returns nothing there
    return peer


@pytest.mark.parametrize('arch, size', [
    ('mini', (64, 64)),
    ('mini', (96, 57)),
    ('tiny', (32, 48)),
])
def test_one_stage_is_mmpretrains_vit(arch, size):
    arch = ARCHS.get(arch, MINI)
    model = plain(arch=arch, stage_depths=(arch['num_layers'], ))
    peer = peer_of(model, arch)
    x = images(1, 3, *size)
    with torch.no_grad():
        ours, theirs = model(x)[0], peer(x)[0]
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=2e-5)


def test_every_arch_has_the_parameters_of_its_vit():
    # ViT-B/16 without its cls token and its head has 85.8 M parameters.
    millions = dict(tiny=5.5, small=21.6, base=85.8, large=303.3, huge=630.8)
    for arch, expected in millions.items():
        depth = ARCHS[arch]['num_layers']
        patch = 14 if arch == 'huge' else 16
        with torch.device('meta'):
            model = HPViT(arch, patch_size=patch, patch_stride=patch,
                          stage_depths=(depth, ))
        count = sum(p.numel() for p in model.parameters()) / 1e6
        assert count == pytest.approx(expected, abs=0.1), arch


# ------------------------------------------------------ dilated attention


@pytest.mark.parametrize('stage_depths, options', [
    ((4, ), {}), ((4, 0), {}), ((4, ), dict(num_registers=1)),
    ((4, 0), dict(with_cls_token=True, num_registers=3, pre_norm=True))])
def test_dilated_is_the_plain_vit_on_shifted_images(stage_depths, options):
    dense = mini(stage_depths=stage_depths, attention='dilated',
                 out_indices=0, pooling='avg', **options)
    model = plain(**options)
    model.load_state_dict(dense.state_dict())
    x = images(2, 3, 64, 64)
    padded = F.pad(x, (6, 6, 6, 6))
    with torch.no_grad():
        ours = dense(x)[0]
        # (1, H, W, C)
        position = resample_pos_embed(dense.pos_embed, dense.pos_grid,
                                      (16, 16))
        for dy, dx in itertools.product(range(4), repeat=2):
            # Token (4 y + dy, 4 x + dx) sees pixels from 16 y + 4 dy - 6 on,
            # and is told the position of that place.
            model.pos_embed.copy_(position[:, dy::4, dx::4].flatten(1, 2))
            shifted = padded[..., 4 * dy:4 * dy + 64, 4 * dx:4 * dx + 64]
            torch.testing.assert_close(
                ours[..., dy::4, dx::4], model(shifted)[0], rtol=1e-5,
                atol=1e-5)


def test_pooled_cls_tokens_are_the_average_of_those_of_the_shifts():
    """After the first pooling, cls of a group is the mean of four peers'."""
    seen = []
    dense = mini(stage_depths=(3, 1), attention='dilated', pooling='avg',
                 with_cls_token=True)
    dense.blocks[2].register_forward_hook(lambda m, i, o: seen.append(o))
    dense.blocks[3].register_forward_pre_hook(lambda m, i: seen.append(i[0]))
    with torch.no_grad():
        dense(images(2, 3, 64, 64))
    before, after = (tokens[:, :, 0] for tokens in seen)  # (B, G, C)
    # (B, 16, C) -> (B, dy/2, 2, dx/2, 2, C) -> (B, dy/2, dx/2, C)
    mean = before.reshape(2, 2, 2, 2, 2, -1).mean(dim=(2, 4)).flatten(1, 2)
    torch.testing.assert_close(after, mean)


def test_dilated_window_and_global_agree_where_one_group_holds_all():
    x = images(1, 3, 64, 64)
    outs = []
    for attention in ('dilated', 'window', 'global'):
        model = mini(patch_stride=16, stage_depths=(4, ), attention=attention)
        outs.append(model(x)[0])
    torch.testing.assert_close(outs[0], outs[1])
    torch.testing.assert_close(outs[0], outs[2])


class Passed(torch.nn.Module):
    """Takes tokens (B, H, W, C) instead of images."""

    def grid(self, x):
        return tuple(x.shape[1:3])

    def forward(self, x, layout):
        return layout.group(x)


@pytest.mark.parametrize('attention', ['global', 'window', 'dilated'])
@pytest.mark.parametrize('size', [(64, 64), (70, 45), (24, 100)])
def test_attention_sees_its_group_and_nothing_else(attention, size):
    """Which inputs move a token says which tokens act as its keys."""
    window = 3
    model = mini(stage_depths=(4, ), out_blocks=0, attention=attention,
                 window_size=window)
    rows, columns = (-(-n // 4) for n in size)
    grid = images(1, rows, columns, 32).requires_grad_()
    # Past the embedding, so that a token is not moved by its neighbours'
    # pixels.
    model.patch_embed, model.check_images = Passed(), lambda x: None
    out = model(grid)[0]  # (1, C, rows, columns)

    def group(index, length):
        if attention == 'global':
            return 0
        dilation = 4 if attention == 'dilated' else 1
        per_offset = -(-length // dilation)
        num_windows = -(-per_offset // window)
        side = -(-per_offset // num_windows)
        return index % dilation, index // dilation // side

    for y, x in [(0, 0), (rows - 1, columns - 1), (rows // 2, 1)]:
        grad, = torch.autograd.grad(out[0, :, y, x].sum(), grid,
                                    retain_graph=True)
        seen = grad[0].abs().sum(-1) > 0
        expected = torch.tensor([[
            group(i, rows) == group(y, rows)
            and group(j, columns) == group(x, columns)
            for j in range(columns)
        ] for i in range(rows)])
        assert torch.equal(seen, expected)


# ------------------------------------------------------------ any size


@pytest.mark.parametrize('attention, with_cls_token', [
    (None, True), ('global', False), ('window', True), ('dilated', False)])
@pytest.mark.parametrize('size', [(64, 64), (97, 61), (9, 5), (1, 1)])
def test_any_size_gives_maps_of_the_ceiled_size(attention, with_cls_token,
                                                size):
    model = mini(attention=attention, with_cls_token=with_cls_token,
                 window_size=5)
    outs = model(images(1, 3, *size))
    for out, stride in zip(outs, (4, 8, 16, 32)):
        expected = tuple(-(-n // stride) for n in size)
        assert out.shape == (1, 32, *expected)
        assert out.isfinite().all()


@pytest.mark.parametrize('attention', ['window', 'dilated'])
def test_padding_never_attends(attention):
    """Windowed results equal those of attention done window by window."""
    model = mini(stage_depths=(4, 0), out_indices=0, attention=attention,
                 window_size=4)
    x = images(2, 3, 76, 52)  # 19 x 13 tokens: padded in both kinds
    ours = model(x)[0]

    raster = TokenLayout.raster((19, 13))
    tokens = raster.ungroup(
        model.patch_embed(x, raster) + model._position(raster))
    step = 4 if attention == 'dilated' else 1
    for block in model.blocks:
        done = torch.zeros_like(tokens)
        for dy, dx in itertools.product(range(step), repeat=2):
            part = tokens[:, dy::step, dx::step]
            sides = []
            for length in (-(-19 // step), -(-13 // step)):
                sides.append(-(-length // -(-length // 4)))
            for top in range(0, part.shape[1], sides[0]):
                for left in range(0, part.shape[2], sides[1]):
                    window = part[:, top:top + sides[0], left:left + sides[1]]
                    out = block(window.flatten(1, 2).unsqueeze(1))
                    done[:, dy::step, dx::step][
                        :, top:top + sides[0],
                        left:left + sides[1]] = out.reshape(window.shape)
        tokens = done
    reference = model.norms['0'](tokens).permute(0, 3, 1, 2)
    torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('prefix', [
    dict(), dict(with_cls_token=True, num_registers=2)], ids=str)
@pytest.mark.parametrize('attention', ['window', 'dilated'])
@pytest.mark.parametrize('window_size', [2, 5])  # 2: groups of padding alone
def test_what_is_in_the_padding_changes_nothing(
        window_size, attention, prefix, monkeypatch):
    model = mini(attention=attention, window_size=window_size, **prefix)
    x = images(2, 3, 44, 76)

    def pad(tokens, sides, value=None):
        padded = F.pad(tokens, sides, value=value)
        if tokens.is_floating_point():
            padding = F.pad(torch.zeros_like(tokens), sides, value=1)
            padded = padded + padding * torch.randn_like(padding)
        return padded

    expected = model(x)
    monkeypatch.setattr(token_layout, 'F', SimpleNamespace(pad=pad))
    for one, other in zip(model(x), expected):
        torch.testing.assert_close(one, other)


def test_tokens_sit_on_the_centres_of_their_cells():
    """A token's kernel reaches equally far on both sides of its cell."""
    model = mini()
    x = images(1, 3, 64, 64).requires_grad_()
    raster = TokenLayout.raster((16, 16))
    model.patch_embed(x, raster)[0, 0, 5 * 16 + 8].sum().backward()
    rows = x.grad[0].abs().sum((0, 2)).nonzero().flatten()
    columns = x.grad[0].abs().sum((0, 1)).nonzero().flatten()
    # cells of 4 pixels: the centre of cell 5 is 4 * 5 + 1.5
    assert (rows.min() + rows.max()) / 2 == 4 * 5 + 1.5
    assert (columns.min() + columns.max()) / 2 == 4 * 8 + 1.5
    assert len(rows) == len(columns) == 16


def test_features_do_not_depend_on_the_batch():
    model = mini(attention='dilated', window_size=3)
    x = images(3, 3, 70, 50)
    together = model(x)
    for i in range(3):
        for out, alone in zip(together, model(x[i:i + 1])):
            torch.testing.assert_close(out[i:i + 1], alone, rtol=1e-5,
                                       atol=1e-5)


# ------------------------------------------------------------- pooling


@pytest.mark.parametrize('attention, with_cls_token', [
    (None, True), ('window', False)])
@pytest.mark.parametrize('size', [(64, 64), (75, 41)])
def test_conv_pooling_starts_as_the_average(attention, with_cls_token, size):
    options = dict(arch=MINI, stage_depths=(1, 1, 1, 1), img_size=64,
                   attention=attention, with_cls_token=with_cls_token)
    conv = HPViT(pooling='conv', **options).eval()
    avg = HPViT(pooling='avg', **options).eval()
    avg.load_state_dict({
        name: tensor for name, tensor in conv.state_dict().items()
        if not name.startswith('pools.')
    })
    x = images(2, 3, *size)
    for a, b in zip(conv(x), avg(x)):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_conv_pooling_is_a_convolution():
    """Whatever the layout of the tokens, pools.0 is a Conv2d of stride 2."""
    for attention in ('dilated', 'global'):
        seen = []
        model = mini(stage_depths=(3, 1), attention=attention,
                     pooling='conv')
        model.blocks[3].register_forward_pre_hook(
            lambda m, args: seen.append(args[0]))
        outs = []
        model.norms['0'] = torch.nn.Identity()
        model.norms['1'] = torch.nn.Identity()
        model.blocks[3].forward = lambda x, *_: x
        with torch.no_grad():
            outs = model(images(1, 3, 64, 48))
            expected = F.conv2d(outs[0], model.pools[0].weight,
                                model.pools[0].bias, stride=2)
        torch.testing.assert_close(outs[1], expected, rtol=1e-5, atol=1e-5)


# ------------------------------------------------------------ gradients


@pytest.mark.parametrize('out_indices', [0, 3, (1, 2), (0, 1, 2, 3)])
def test_every_parameter_gets_a_gradient(out_indices):
    model = mini(out_indices=out_indices, with_cls_token=True,
                 num_registers=2, pre_norm=True,
                 layer_scale_init_value=0.1).train()
    outs = model(images(2, 3, 48, 40))
    sum((out**2).sum() for out in outs).backward()
    without = [
        name for name, param in model.named_parameters()
        if param.grad is None or not param.grad.abs().sum() > 0
    ]
    assert without == []
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_padded_groups_leave_gradients_finite():
    model = mini(attention='dilated', window_size=2).train()
    sum(out.sum() for out in model(images(1, 3, 57, 39))).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize('with_cp', [True, 1, (True, False, True, False)])
def test_activation_checkpointing_changes_nothing(with_cp):
    x = images(2, 3, 64, 48)
    results = []
    for value in (False, with_cp):
        model = mini(with_cp=value, drop_path_rate=0.5).train()
        torch.manual_seed(3)
        outs = model(x)
        sum((out**2).sum() for out in outs).backward()
        results.append((outs, [p.grad for p in model.parameters()]))
    for a, b in zip(*(r[0] for r in results)):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    for a, b in zip(*(r[1] for r in results)):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_drop_path_rises_and_drops_whole_images():
    model = mini(drop_path_rate=0.3)
    rates = [getattr(b.drop_path, 'drop_prob', 0.) for b in model.blocks]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3])
    block = model.blocks[3].train()
    x = images(64, 4, 5, 32)
    branch = block.drop_path(torch.ones_like(x))
    per_image = branch.flatten(1)
    assert (per_image == per_image[:, :1]).all()
    assert 0 < (per_image[:, 0] == 0).sum() < 64


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_drop_path_keeps_the_mean(dtype):
    drop = DropPath(0.1).train()
    x = torch.ones(200_000, 1, dtype=dtype)
    with torch.autocast('cpu', torch.bfloat16):
        kept = (drop(x) != 0).double().mean().item()
    assert kept == pytest.approx(0.9, abs=0.002)  # 3 standard errors
    assert torch.equal(drop.eval()(x), x)


# --------------------------------------------------------------- outputs


def test_avg_featmap_is_the_normalised_average_of_the_last_stage():
    model = mini(out_type='avg_featmap')
    x = images(2, 3, 72, 40)
    (vector, ) = model(x)
    maps = mini(out_indices=3)
    maps.norms['3'] = torch.nn.Identity()
    mean = maps(x)[0].mean(dim=(2, 3))
    torch.testing.assert_close(vector, model.norms['3'](mean), rtol=1e-5,
                               atol=1e-5)


def test_maps_are_safe_for_mmcvs_ops():
    """mmcv's RoIAlign reads the memory of a map as NCHW, whatever it is."""
    from mmcv.ops import RoIAlign
    for out in mini()(images(2, 3, 64, 64)):
        # A convolution keeps the memory format of its input.
        out = torch.nn.Conv2d(32, 8, 3, padding=1)(out)
        rois = torch.tensor([[0, 3., 4., 40., 50.], [1, 8., 8., 30., 60.]])
        align = RoIAlign(4, 1 / 4, 2)
        torch.testing.assert_close(
            align(out, rois), align(out.clone(
                memory_format=torch.contiguous_format), rois))


@pytest.mark.parametrize('scope', ['mmpretrain', 'mmdet', 'mmseg'])
def test_builds_under_the_scope_of_each_library(scope):
    init_default_scope(scope)
    try:
        model = MODELS.build(
            dict(type='hpvit_mm.HPViT', arch=MINI, stage_depths=(1, 1, 1, 1)))
        assert isinstance(model, HPViT)
    finally:
        DefaultScope._instance_dict.pop(scope, None)


@pytest.mark.parametrize('options, unit', [
    (dict(attention='global'), 32),
    (dict(window_size=3), 48 * 2),
    (dict(window_size=3, attention=('dilated', 'window', 'dilated', 'window')),
     96),
    (dict(window_size=4, patch_stride=8, stage_depths=(2, 2)), 64)])
def test_whole_units_are_whole_windows(options, unit):
    model = mini(**options)
    assert model.size_unit == unit
    grid = (2 * unit // model.strides[0], 3 * unit // model.strides[0])
    for s, depth in enumerate(model.stage_depths):
        layouts = [model._layout(s, grid, i) for i in range(depth)]
        assert not any(one.is_padded for one in layouts)
        grid = tuple(side // 2 for side in grid)


@pytest.mark.filterwarnings('ignore:.torch.jit:DeprecationWarning')
@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
def test_traced_for_any_batch():
    model, x = mini(pooling='avg', with_cls_token=True), images(3, 3, 64, 64)
    with torch.no_grad():
        program = torch.jit.trace(model, x[:2], check_trace=False)
        torch.testing.assert_close(program(x), model(x))


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
def test_exported_to_onnx_by_tracing():
    """The shape inference of this exporter must not divide by zero."""
    with contextlib.suppress(torch.onnx.OnnxExporterError):  # without onnx
        torch.onnx.export(mini(), (images(1, 3, 50, 64), ), io.BytesIO(),
                          dynamo=False)


@pytest.mark.parametrize('options', [
    dict(with_cls_token=True), dict(pooling='avg', out_type='avg_featmap')])
def test_an_empty_batch_gives_empty_outputs(options):
    model = mini(**options)
    for size in ((64, 64), (50, 71)):
        empty, one = (model(images(n, 3, *size)) for n in (0, 1))
        assert [out.shape[1:] for out in empty] == \
            [out.shape[1:] for out in one]
        assert all(len(out) == 0 for out in empty)


def test_norms_of_maps_are_refused():
    for norm in (dict(type='BN'), dict(type='IN'), dict(type='SyncBN'),
                 dict(type='GN', num_groups=4),
                 dict(type='hpvit_mm.LayerNorm2d')):
        with pytest.raises(UserError, match=f"has type '{norm['type']}'"):
            HPViT(MINI, stage_depths=(1, 1, 1, 1), norm_cfg=norm)


def test_blocks_behind_the_last_output_are_not_built():
    model = mini(out_indices=(0, 1))
    assert len(model.blocks) == 2 and len(model.pools) == 1


# ------------------------------------------------ outputs of blocks


def test_outputs_of_blocks_are_those_of_the_stages_that_end_there():
    options = dict(stage_depths=(1, 1, 2, 0), pooling='avg')
    stages = mini(out_indices=(0, 1, 2), **options)
    blocks = mini(out_blocks=(0, 1, -1), **options)
    blocks.load_state_dict({
        name.replace('norms.2', 'norms.block3').replace(
            'norms.0', 'norms.block0').replace('norms.1', 'norms.block1'):
        tensor for name, tensor in stages.state_dict().items()})
    x = images(2, 3, 70, 64)
    for ours, theirs in zip(blocks(x), stages(x), strict=True):
        assert torch.equal(ours, theirs)
    assert blocks.out_strides == stages.out_strides == (4, 8, 16)
    assert blocks.out_channels == (32, 32, 32)


@pytest.mark.parametrize('out_type', ['featmap', 'avg_featmap'])
@pytest.mark.parametrize('out_blocks, strides, pools', [
    ((0, 1, 2), (4, 4, 8), 1), ((1, ), (4, ), 0), ((-1, ), (16, ), 2)])
def test_only_what_outputs_of_blocks_need_is_built(out_type, out_blocks,
                                                   strides, pools):
    model = mini(stage_depths=(2, 1, 1), pooling='avg', out_type=out_type,
                 out_blocks=out_blocks).train()
    assert len(model.blocks) == max(i % 4 for i in out_blocks) + 1
    assert model.out_strides == strides and len(model.pools) == pools
    outs = model(images(2, 3, 64, 64))
    sizes = [(64 // s, 64 // s) if out_type == 'featmap' else ()
             for s in strides]
    assert [tuple(out.shape) for out in outs] == [
        (2, 32, *size) for size in sizes]
    sum((out**2).sum() for out in outs).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_norms_of_blocks_are_frozen_with_their_stage():
    model = mini(stage_depths=(2, 2), out_blocks=(0, 1, 2),
                 frozen_stages=1)
    assert {name: norm.weight.requires_grad
            for name, norm in model.norms.items()} == {
        'block0': False, 'block1': False, 'block2': True}


# ------------------------------------------------- freezing and depths


@pytest.mark.parametrize('frozen_stages', [-1, 0, 2, 4])
def test_frozen_stages(frozen_stages):
    model = mini(frozen_stages=frozen_stages, with_cls_token=True,
                 drop_path_rate=0.5, drop_rate=0.1).train()
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    expected = set()
    for name, _ in model.named_parameters():
        head, *rest = name.split('.')
        if head in ('patch_embed', 'pos_embed', 'cls_token',
                    'prefix_pos_embed'):
            stage = 0
        elif head in ('blocks', 'norms'):
            stage = int(rest[0]) + 1  # one block per stage
        else:  # the pooling between two frozen stages
            stage = int(rest[0]) + 2
        if stage <= frozen_stages:
            expected.add(name)
    assert frozen == expected
    for i, block in enumerate(model.blocks):
        assert block.training == (i >= frozen_stages)
    if frozen_stages < 4:
        outs = model(images(2, 3, 64, 64))
        sum((out**2).sum() for out in outs).backward()
        assert all(p.grad is not None for p in model.parameters()
                   if p.requires_grad)
        assert all(p.grad is None for p in model.parameters()
                   if not p.requires_grad)


@pytest.mark.parametrize('options', [
    dict(stage_depths=(2, 0, 1, 1)),
    dict(stage_depths=(0, 0, 4, 0)),
    dict(out_indices=(0, 1)),
    dict(stage_depths=(2, 2), out_blocks=(0, 1, 2)),
    dict(with_cls_token=True, num_registers=2, pre_norm=True,
         layer_scale_init_value=0.1),
])
def test_layer_depths_are_complete_and_monotone(options):
    model = mini(**options)
    num_blocks = len(model.blocks)
    depths = {}
    for name, _ in model.named_parameters():
        depth, total = model.get_layer_depth('backbone.' + name, 'backbone.')
        assert total == num_blocks + 2
        depths[name] = depth
    assert set(depths.values()) == set(range(num_blocks + 2))
    for name, depth in depths.items():
        if name.startswith('blocks.'):
            assert depth == int(name.split('.')[1]) + 1
        if name.startswith('pools.'):
            stage = int(name.split('.')[1])
            assert depth == sum(model.stage_depths[:stage + 1])
        if name.startswith('norms.'):
            assert depth == num_blocks + 1
    assert depths['pos_embed'] == depths['patch_embed.proj.weight'] == 0
    assert model.get_layer_depth('head.fc.weight', 'backbone.') == (
        num_blocks + 1, num_blocks + 2)


def test_no_weight_decay_names_exist():
    for with_cls_token in (False, True):
        model = mini(with_cls_token=with_cls_token)
        assert set(model.no_weight_decay()) <= set(
            dict(model.named_parameters()))


# ------------------------------------------------------------ bad input


def test_arguments_are_not_changed():
    given = dict(
        arch=dict(MINI), stage_depths=[1, 1, 1, 1], img_size=[64, 64],
        attention=['dilated', ['window'], 'global', 'global'],
        out_indices=[0, -1], norm_cfg=dict(type='LN', eps=1e-5),
        with_cp=[True, False, False, False],
        init_cfg=dict(type='Pretrained', checkpoint='x.pth'))
    copied = copy.deepcopy(given)
    HPViT(**given)
    assert given == copied


@pytest.mark.parametrize('wrong, word', [
    (dict(arch='giant'), 'arch'),
    (dict(arch=dict(embed_dims=8)), 'arch'),
    (dict(arch=dict(MINI, num_heads=5)), 'num_heads'),
    (dict(stage_depths=(1, 1, 1)), 'stage_depths'),
    (dict(stage_depths=(5, -1, 0, 0)), 'stage_depths'),
    (dict(stage_depths=None), 'stage_depths'),
    (dict(pooling='max'), 'pooling'),
    (dict(attention='shifted'), 'attention'),
    (dict(attention=('window', 'window')), 'attention'),
    (dict(attention=('window', ('window', 'global'), 'global', 'global')),
     'attention'),
    (dict(window_size=0), 'window_size'),
    (dict(out_indices=4), 'out_indices'),
    (dict(out_indices=(1, 0)), 'out_indices'),
    (dict(out_indices=(0, 0)), 'out_indices'),
    (dict(out_indices=()), 'out_indices'),
    (dict(out_blocks=4), 'out_blocks'),
    (dict(out_blocks='3'), 'out_blocks must be whole numbers'),
    (dict(out_blocks=(1.5, )), 'out_blocks must be whole numbers'),
    (dict(out_blocks=(True, )), 'out_blocks must be whole numbers'),
    (dict(out_blocks=(2, 1)), 'out_blocks'),
    (dict(out_blocks=2, out_indices=2), 'counts stages'),
    (dict(out_type='cls_token'), 'out_type'),
    (dict(num_registers=-1), 'num_registers'),
    (dict(drop_rate=1.), 'drop_rate'),
    (dict(drop_path_rate=-.1), 'drop_path_rate'),
    (dict(stage_depths=3), 'stage_depths'),
    (dict(patch_stride=5), 'patch_stride'),
    (dict(patch_stride=32), 'patch_stride'),
    (dict(patch_size=14, patch_stride=4), 'patch_size'),
    (dict(img_size=(1, 2, 3)), 'img_size'),
    (dict(with_cp=(True, )), 'with_cp'),
    (dict(frozen_stages=5), 'frozen_stages'),
])
def test_wrong_arguments_are_named(wrong, word):
    with pytest.raises(UserError, match=word):
        HPViT(**dict(dict(arch=MINI, stage_depths=(1, 1, 1, 1)), **wrong))
