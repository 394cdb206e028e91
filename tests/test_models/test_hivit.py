"""HiViT: like mmpretrain's where that is right; any size; masks."""
import pytest
import torch

from hpvit_mm.errors import UserError
from hpvit_mm.models import HiViT

ARCH = dict(embed_dims=32, depths=(1, 2, 3), num_heads=2)
NORM = dict(type='LN', eps=1e-5)  # mmpretrain's


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def noise(model):
    """Values that no initialisation has, so that all of them matter."""
    with torch.no_grad():
        for one in model.parameters():
            one.add_(torch.randn_like(one) * 0.1)
    model.eval()  # mmpretrain's return None
    return model


DEEP = dict(embed_dims=32, depths=[1, 1, 7], num_heads=2)


def peer(**kwargs):
    """mmpretrain's, with more blocks in the main stage than before it.

    An index among the first blocks would spoil what follows: its output, a
    map, becomes the input of the next block.
    """
    from mmpretrain.models import HiViT as Peer
    return noise(Peer(arch=DEEP, out_indices=[6], **kwargs))


def ours_of(other, **kwargs):
    ours = HiViT(DEEP, norm_cfg=NORM, **kwargs).eval()
    tensors, _ = ours.fit_checkpoint(other.state_dict(), 'peer')
    ours.load_state_dict(tensors)
    return ours


@pytest.mark.parametrize('size', [(64, 64), (48, 80)])
def test_features_are_those_of_mmpretrain(size):
    other, x = peer(img_size=64), torch.randn(2, 3, *size)
    ours = ours_of(other, img_size=64, out_indices=2)
    ours.norms['2'] = torch.nn.Identity()
    if size[0] != size[1]:
        # it interpolates by (H + 0.1) / H, and swaps height and width
        other.interpolate_pos_encoding = lambda *_: \
            torch.nn.functional.interpolate(
                other.pos_embed.unflatten(1, (4, 4)).permute(0, 3, 1, 2),
                size=(3, 5), mode='bicubic').flatten(2).transpose(1, 2)
    torch.testing.assert_close(ours(x), other(x), rtol=1e-4, atol=1e-4)


def test_relative_positions_are_those_of_mmpretrain():
    other, x = peer(img_size=64, rpe=True), torch.randn(2, 3, 64, 64)
    ours = ours_of(other, img_size=64, out_indices=2, relative_position=True)
    ours.norms['2'] = torch.nn.Identity()
    torch.testing.assert_close(ours(x), other(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('size', [(64, 64), (30, 50), (17, 100)])
@pytest.mark.parametrize('attention', ['global', 'window'])
def test_any_size(size, attention):
    model = HiViT(ARCH, attention=attention, window_size=2, img_size=64,
                  relative_position=True)
    outs = model(torch.randn(2, 3, *size))
    assert [tuple(out.shape) for out in outs] == [
        (2, c, -(-size[0] // s), -(-size[1] // s))
        for c, s in zip((8, 16, 32, 32), (4, 8, 16, 32))]
    sum(out.mean() for out in outs).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_one_large_window_is_global():
    model = noise(HiViT(ARCH, img_size=64, relative_position=True))
    x = torch.randn(1, 3, 64, 48)
    expected = model(x)
    model.attention, model.window_size = ('window', ) * 3, 14
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize('relative', [False, True])
def test_masked_units_are_not_seen(relative):
    """Nothing hidden is the whole; and hidden pixels change nothing."""
    model = noise(HiViT(ARCH, img_size=64, out_indices=(0, 1, 2),
                        relative_position=relative))
    x = torch.randn(2, 3, 64, 48)
    visible = torch.zeros(2, 4, 3, dtype=torch.bool)
    for out, whole, k in zip(model(x, visible), model(x), (4, 2, 1)):
        # (B, C, 4 * k, 3 * k) -> (B, 12, k * k, C)
        units = whole.unflatten(3, (3, k)).unflatten(2, (4, k)).permute(
            0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)
        torch.testing.assert_close(out, units)
    mask = visible.clone()
    mask[0, 1], mask[1, :3, 2] = True, True
    outs = model(x, mask)
    assert [out.shape[1:3] for out in outs] == [(9, 16), (9, 4), (9, 1)]
    hidden = mask.repeat_interleave(16, 1).repeat_interleave(16, 2)[:, None]
    torch.testing.assert_close(model(x.masked_fill(hidden, 9.), mask), outs)


@pytest.mark.parametrize('mask, says', [
    (torch.ones(1, 4, 4, dtype=torch.bool), r'at least 1, but they have \[0'),
    (torch.ones(1, 2, 2, dtype=torch.bool), r'shape \(B, 4, 4\)'),
    (torch.tensor([[[True, False] * 2] * 4, [[True] * 4] * 4]), r'\[8, 0\]')])
def test_bad_masks(mask, says):
    model = HiViT(ARCH, img_size=64, out_indices=2)
    with pytest.raises(UserError, match=says):
        model(torch.randn(len(mask), 3, 64, 64), mask)


def test_depths_and_freezing():
    model = HiViT(ARCH, relative_position=True)
    depths = {name: model.get_layer_depth(name)[0]
              for name, _ in model.named_parameters()}
    assert {n: d for n, d in depths.items() if 'norm.weight' in n
            or 'fc1.weight' in n or n.startswith('abs')} == {
        'absolute_pos_embed': 0, 'patch_embed.norm.weight': 0,
        'blocks.0.mlp.fc1.weight': 1, 'blocks.1.mlp.fc1.weight': 2,
        'blocks.2.norm.weight': 2,  # merging: the depth of what it follows
        'blocks.3.mlp.fc1.weight': 3, 'blocks.4.mlp.fc1.weight': 4,
        'blocks.5.mlp.fc1.weight': 5, 'blocks.6.mlp.fc1.weight': 6,
        'blocks.7.norm.weight': 6, 'blocks.8.mlp.fc1.weight': 7,
        'blocks.9.mlp.fc1.weight': 8, 'blocks.10.mlp.fc1.weight': 9}
    assert depths['norms.2.weight'] == 10
    names = dict(model.named_parameters())
    assert all(name in names for name in model.no_weight_decay())
    frozen = HiViT(ARCH, frozen_stages=2)
    assert {n.split('.')[1] for n, p in frozen.named_parameters()
            if n.startswith('blocks') and not p.requires_grad} \
        == set('01234567') - {'7'}


def official(model, head=True):
    """A file of github.com/zhangxiaosong18/hivit."""
    tensors = {n: t.clone() for n, t in model.state_dict().items()
               if not n.startswith('norms.')}
    tensors['relative_position_index'] = torch.zeros(4, 4)
    if head:
        tensors.update({f'fc_norm.{n}': torch.full((32, ), 2.)
                        for n in ('weight', 'bias')})
        tensors.update({'head.weight': torch.zeros(9, 32),
                        'head.bias': torch.zeros(9)})
    else:  # of MAE: a norm of the features of all stages, and a decoder
        tensors.update({'norm.weight': torch.zeros(7 * 32),
                        'mask_token': torch.zeros(1, 1, 8)})
    return dict(model=tensors)


@pytest.mark.parametrize('head', [True, False])
def test_official_files(head, tmp_path):
    source = noise(HiViT(ARCH, img_size=64))
    torch.save(official(source, head), tmp_path / 'a.pth')
    cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'))
    model = HiViT(ARCH, img_size=96, out_type='avg_featmap',
                  relative_position=True, init_cfg=cfg)
    model.check_pretrained()
    model.init_weights()
    assert torch.equal(model.blocks[9].attn.qkv.weight,
                       source.blocks[9].attn.qkv.weight)
    assert model.absolute_pos_embed.shape == (1, 36, 32)
    assert (model.norms['2'].weight == (2 if head else 1)).all()
    deeper = HiViT(dict(ARCH, depths=(1, 2, 4)), init_cfg=cfg)
    with pytest.raises(UserError, match='missing .*blocks.11'):
        deeper.init_weights()


def test_relative_positions_are_not_dropped():
    content = HiViT(ARCH, img_size=64, relative_position=True).state_dict()
    HiViT(ARCH, out_type='avg_featmap', relative_position=True
          ).fit_checkpoint(content, 'a.pth')
    with pytest.raises(UserError, match='unknown .*relative_position'):
        HiViT(ARCH).fit_checkpoint(content, 'a.pth')


def test_sizes_of_the_paper():
    """Millions of parameters without the head (arXiv 2205.14949)."""
    for arch, millions in dict(tiny=19.18, small=37.53, base=66.42).items():
        with torch.device('meta'):
            model = HiViT(arch, out_type='avg_featmap',
                          relative_position=arch == 'base')
        count = sum(p.numel() for p in model.parameters())
        head = model.embed_dims * 1000 + 1000
        assert (count + head) / 1e6 == pytest.approx(millions, abs=0.1)


@pytest.mark.parametrize('kwargs, says', [
    (dict(arch='huge'), 'arch must be one of'),
    (dict(arch=dict(ARCH, depths=(1, 2))), 'depths being 3 numbers'),
    (dict(arch=ARCH, attention=('global', )), 'attention has 1 entries'),
    (dict(arch=ARCH, out_indices=4), 'out_indices'),
    (dict(arch=ARCH, window_size=0), 'window_size must be at least 1')])
def test_bad_arguments(kwargs, says):
    with pytest.raises(UserError, match=says):
        HiViT(**kwargs)
