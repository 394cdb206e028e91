"""Loading pre-trained weights: whole, or not at all."""
from argparse import Namespace

import pytest
import torch

from hpvit_mm.checkpoints import load_pretrained
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT
from hpvit_mm.models.layers import resample_pos_embed

MINI = dict(embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64)


def hpvit(**kwargs) -> HPViT:
    return HPViT(**dict(dict(arch=MINI, stage_depths=(1, 1, 1, 1),
                             img_size=64), **kwargs))


def mae_tensors(grid=4, cls_token=True):
    """The tensors of MAE's file of a ViT, random, by its names."""
    tensors = {
        name.replace('norms.0', 'norm'): torch.randn_like(tensor)
        for name, tensor in hpvit(
            patch_stride=16, stage_depths=(4, )).state_dict().items()
    }
    tensors['pos_embed'] = torch.randn(1, grid**2 + cls_token, 32)
    if cls_token:
        tensors['cls_token'] = torch.randn(1, 1, 32)
    return tensors


@pytest.fixture
def mae_file(tmp_path):
    tensors = mae_tensors()
    tensors.update({'decoder_embed.weight': torch.randn(8, 32),
                    'mask_token': torch.randn(1, 1, 8)})
    path = tmp_path / 'mae.pth'
    torch.save({'model': tensors, 'args': Namespace(lr=1.)}, path)
    return path, tensors


def test_every_tensor_of_mae_arrives(mae_file):
    path, tensors = mae_file
    model = hpvit()
    report = load_pretrained(model, path)
    state = model.state_dict()
    for name in report.used:
        expected = tensors[name.replace('norms.3', 'norm')]
        if name == 'pos_embed':
            expected = expected[:, 1:]
        assert torch.equal(state[name], expected)
    blocks = [n for n in state if n.startswith(('blocks.', 'patch_embed.'))]
    assert set(report.used) == {
        *blocks, 'pos_embed', 'norms.3.weight', 'norms.3.bias'
    }
    assert set(report.new) == {
        n for n in state if n.startswith(('pools.', 'norms.'))
    } - {'norms.3.weight', 'norms.3.bias'}
    assert set(report.ignored) == {
        'cls_token', 'prefix_pos_embed', 'decoder_embed.weight', 'mask_token'
    }
    assert 'resampled' not in str(report)


def test_the_last_norm_stays_out_where_not_all_blocks_are_built(mae_file):
    path, _ = mae_file
    model = hpvit(out_indices=(0, 1))
    report = load_pretrained(model, path)
    assert (model.norms['1'].weight == 1).all()
    assert report.ignored['blocks.2.norm1.weight'] == \
        'block behind the last output'
    assert 'norm.weight' in report.ignored


def test_position_is_resampled_to_another_grid(mae_file):
    path, tensors = mae_file
    model = hpvit(img_size=(96, 48))
    report = load_pretrained(model, path)
    expected = resample_pos_embed(tensors['pos_embed'][:, 1:], (4, 4), (6, 3))
    assert torch.equal(model.pos_embed, expected.flatten(1, 2))
    assert report.resampled == {'pos_embed': ((4, 4), (6, 3))}


def test_the_last_norm_of_one_stage_is_not_that_of_the_first(tmp_path):
    source = hpvit(patch_stride=16, stage_depths=(4, ))
    torch.nn.init.normal_(source.norms['0'].weight)
    torch.save(source.state_dict(), tmp_path / 'plain.pth')
    model = hpvit()
    report = load_pretrained(model, tmp_path / 'plain.pth')
    assert (model.norms['0'].weight == 1).all()
    assert torch.equal(model.norms['3'].weight, source.norms['0'].weight)
    assert report.family == 'HPViT of 1 stage'


def test_init_weights_loads(mae_file):
    path, tensors = mae_file
    model = hpvit(init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    model.init_weights()
    assert torch.equal(model.blocks[2].attn.qkv.weight,
                       tensors['blocks.2.attn.qkv.weight'])


# ------------------------------------------------------------ bad input


def remove(tensors):
    del tensors['blocks.2.attn.qkv.bias']


def misshape(tensors):
    tensors['blocks.2.attn.qkv.bias'] = torch.randn(7)


@pytest.mark.parametrize('damage', [remove, misshape])
def test_a_tensor_that_does_not_fit_is_named_and_nothing_loads(
        tmp_path, damage):
    tensors = mae_tensors()
    damage(tensors)
    torch.save(tensors, tmp_path / 'mae.pth')
    model = hpvit()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(UserError, match='blocks.2.attn.qkv.bias'):
        load_pretrained(model, tmp_path / 'mae.pth')
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize('entry, says', [
    (dict(patch_resize='nearest'), "'pinv'"),
    (dict(chekpoint='x'), 'no entry chekpoint.*its entries are'),
    (dict(checkpoint=None), 'no checkpoint')])
def test_mistakes_in_init_cfg(mae_file, entry, says):
    cfg = dict(type='Pretrained', checkpoint=str(mae_file[0]))
    model = hpvit(init_cfg=dict(cfg, **entry))
    for check in (model.check_pretrained, model.init_weights):
        with pytest.raises(UserError, match=says):
            check()
