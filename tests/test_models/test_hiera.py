"""Hiera: timm's features; any size; masks."""
import pytest
import torch

from hpvit_mm.errors import UserError
from hpvit_mm.models import Hiera

ARCH = dict(embed_dims=8, num_heads=1, depths=(1, 2, 2, 1))


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def noise(model):
    """Values that no initialisation has, so that all of them matter."""
    with torch.no_grad():
        for one in model.parameters():
            one.add_(torch.randn_like(one) * 0.1)
    return model.eval()


def peer(num_pools=3, size=(64, 96)):
    from timm.models.hiera import Hiera as Peer
    return noise(Peer(size, embed_dim=8, num_heads=1, stages=(1, 2, 2, 1),
                      q_pool=num_pools, num_classes=5))


def build(num_pools=3, **kwargs):
    return Hiera(ARCH, img_size=(64, 96), num_pools=num_pools, **kwargs)


def ours_of(other, **kwargs):
    ours = build(other.q_pool, **kwargs).eval()
    tensors, _ = ours.fit_checkpoint(dict(model_state=other.state_dict()),
                                     'peer')
    ours.load_state_dict(tensors)
    return ours


@pytest.mark.parametrize('num_pools', [2, 3])
def test_features_are_those_of_timm(num_pools):
    other, x = peer(num_pools), torch.randn(2, 3, 64, 96)
    ours = ours_of(other)
    for norm in ours.norms:
        ours.norms[norm] = torch.nn.Identity()
    mask = torch.tensor([[[True, False, False], [False, True, True]],
                         [[False, False, True], [True, False, True]]])
    for out, expected in zip(ours(x), other.forward_intermediates(
            x, intermediates_only=True)):
        torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    # timm masks the pixels too; a unit of True is one that it keeps
    hidden = mask.repeat_interleave(32, 1).repeat_interleave(32, 2)[:, None]
    _, theirs = other.forward_features(
        x, mask=~mask.flatten(1), return_intermediates=True)
    for out, expected in zip(ours(x.masked_fill(hidden, 0.), mask), theirs):
        # (B, V, k, k, C) -> (B, V, k * k, C)
        torch.testing.assert_close(out, expected.flatten(2, 3), rtol=1e-4,
                                   atol=1e-5)


def test_the_average_is_that_of_timm():
    other, x = peer(), torch.randn(2, 3, 64, 96)
    ours = ours_of(other, out_type='avg_featmap')
    torch.testing.assert_close(
        ours(x)[0], other.forward_head(other.forward_features(x),
                                       pre_logits=True), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('size', [(64, 64), (33, 70)])
def test_any_size(size):
    model = build()
    outs = model(torch.randn(2, 3, *size))
    assert [tuple(out.shape) for out in outs] == [
        (2, 8 << s, -(-size[0] // (4 << s)), -(-size[1] // (4 << s)))
        for s in range(4)]
    sum(out.square().mean() for out in outs).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize('num_pools', [2, 3])
def test_nothing_hidden_is_the_whole(num_pools):
    model, x = noise(build(num_pools)), torch.randn(2, 3, 64, 96)
    mask = torch.zeros(2, 2, 3, dtype=torch.bool)
    for out, whole in zip(model(x, mask), model(x)):
        k = whole.shape[2] // 2
        # (B, C, 2 * k, 3 * k) -> (B, 6, k * k, C)
        units = whole.unflatten(3, (3, k)).unflatten(2, (2, k)).permute(
            0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)
        torch.testing.assert_close(out, units)


def test_depths():
    model = build()
    depths = [model.get_layer_depth(f'blocks.{i}.attn.qkv.weight')[0]
              for i in range(6)]
    assert depths == [1, 2, 3, 4, 5, 6]
    assert model.get_layer_depth('pos_embed') == (0, 8)
    assert model.get_layer_depth('norms.3.weight') == (7, 8)


def test_parameters_of_timm():
    """Of all sizes; 'tiny-6m' has MAE-Lite's 6.5 M, but for positions."""
    import timm
    for arch in ('tiny', 'small', 'base', 'base-plus', 'large', 'huge'):
        with torch.device('meta'):
            other = timm.create_model(
                f'hiera_{arch.replace("-", "_")}_224', num_classes=0)
            ours = Hiera(arch, out_type='avg_featmap')
        assert sum(p.numel() for p in ours.parameters()) == sum(
            p.numel() for p in other.parameters())
    with torch.device('meta'):
        small = Hiera('tiny-6m', out_type='avg_featmap')
    count = sum(p.numel() for n, p in small.named_parameters()
                if n != 'pos_embed') + 368 * 1000 + 1000
    assert count / 1e6 == pytest.approx(6.5, abs=0.06)


def test_files(tmp_path):
    """The official MAE's, at another size, with another number of pools."""
    source = build(2).state_dict()
    tensors = {n: t for n, t in source.items() if not n.startswith('norms.')}
    tensors.update({'encoder_norm.weight': torch.full((64, ), 2.),
                    'encoder_norm.bias': torch.full((64, ), 2.),
                    'decoder_embed.bias': torch.zeros(8),
                    'pos_embed': torch.randn(1, 16 * 16, 8)})
    torch.save(dict(model_state=tensors), tmp_path / 'a.pth')
    cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'))
    model = build(init_cfg=cfg)
    model.check_pretrained()
    model.init_weights()
    assert (model.norms['3'].weight == 2).all()
    assert model.pos_embed.shape == (1, 16 * 24, 8)
    with pytest.raises(UserError, match='another shape'):
        Hiera(dict(ARCH, embed_dims=16), init_cfg=cfg).init_weights()


@pytest.mark.parametrize('kwargs, says', [
    (dict(arch='giant'), 'arch must be one of'),
    (dict(arch=dict(ARCH, depths=(1, 2))), 'depths being 4 numbers'),
    (dict(arch=ARCH, num_pools=1), 'num_pools')])
def test_bad_arguments(kwargs, says):
    with pytest.raises(UserError, match=says):
        Hiera(**kwargs)


def test_images_that_cannot_be_masked():
    with pytest.raises(UserError, match='multiples of the mask unit of 32'):
        build()(torch.randn(1, 3, 48, 64),
                torch.zeros(1, 2, 2, dtype=torch.bool))
