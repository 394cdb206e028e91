"""Every plain ViT there is computes the same here as where it comes from."""
import re

import pytest
import torch

from hpvit_mm.checkpoints import load_pretrained
from hpvit_mm.checkpoints.convert import convert, export
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT
from peers import DEPTH, HEADS, HIDDEN, LAYOUTS, PEERS, WIDTH

ARCH = dict(embed_dims=WIDTH, num_layers=DEPTH, num_heads=HEADS,
            feedforward_channels=HIDDEN)


def relative_error(ours, theirs):
    return ((ours - theirs).norm() / theirs.norm()).item()


@pytest.fixture(scope='module')
def made():
    """Makes a peer once for all its tests."""
    cache = {}

    def get(peer):
        if peer.name not in cache:
            cache[peer.name] = peer.make()
        return cache[peer.name]

    return get


def images_of(size):
    """Images of the size (side, or height and width) of a pre-training."""
    height, width = (size, size) if isinstance(size, int) else size
    generator = torch.Generator().manual_seed(7)
    return torch.randn(2, 3, height, width, generator=generator)


@pytest.mark.parametrize('keep_prefix', [False, True],
                         ids=['dropped', 'kept'])
@pytest.mark.parametrize('peer', PEERS, ids=str)
def test_features_are_the_peers(peer, keep_prefix, made, tmp_path,
                                record_property):
    built = made(peer)
    more = built.prefix_kwargs if keep_prefix else {}
    path = built.save(tmp_path)
    model = HPViT(**dict(built.kwargs, **more)).eval()
    if peer.refused:
        with pytest.raises(UserError) as caught:
            load_pretrained(model, path, drop=peer.drop)
        assert re.search(peer.refused, str(caught.value))
        return
    if peer.drop:
        with pytest.raises(UserError, match='drop='):
            load_pretrained(model, path)
    report = load_pretrained(model, path, drop=peer.drop)
    assert report.family == peer.layout
    assert report.resampled == {}
    x = images_of(built.kwargs['img_size'])
    with torch.no_grad():
        ours, theirs = model(x)[0], built.features(x, keep_prefix)
    assert ours.shape == theirs.shape
    error = relative_error(ours, theirs)
    record_property('error', error)
    assert error < 1e-5


@pytest.mark.parametrize('layout', LAYOUTS, ids=str)
def test_what_is_in_the_file_arrives(layout, tmp_path):
    tensors = layout.tensors()
    path = tmp_path / f'file{layout.suffix}'
    layout.write(dict(tensors), path)
    scaled = any('ls1' in name for name in tensors)
    prefix = [name for name in ('reg_token', 'dist_token') if name in tensors]
    model = HPViT(
        ARCH, img_size=64, stage_depths=(DEPTH, ), patch_stride=16,
        layer_scale_init_value=float(scaled),
        out_type='avg_featmap' if 'fc_norm.weight' in tensors else 'featmap',
        with_cls_token='cls_token' in tensors,
        num_registers=tensors[prefix[0]].shape[1] if prefix else 0)
    if layout.refused:
        with pytest.raises(UserError) as caught:
            load_pretrained(model, path, **layout.options)
        assert re.search(layout.refused, str(caught.value))
        return
    report = load_pretrained(model, path, **layout.options)
    assert report.family == layout.layout
    state = model.state_dict()
    expected = {}
    for name, tensor in tensors.items():
        name = re.sub(r'^(fc_)?norm\.', 'norms.0.', name)
        expected[name.replace('dist_token', 'reg_token')] = tensor
    position = expected.pop('pos_embed', None)
    if position is None:
        expected['pos_embed'] = torch.zeros(1, 16, WIDTH)
    else:
        expected['pos_embed'] = position[:, layout.rows:]
    if 'prefix_pos_embed' in state:
        rows = torch.zeros_like(state['prefix_pos_embed'])
        if position is not None:
            rows[:, :layout.rows] = position[:, :layout.rows]
        expected['prefix_pos_embed'] = rows
    for name, tensor in state.items():
        if name in expected:
            assert torch.equal(tensor, expected[name]), name
        else:
            assert name in report.new
    assert set(expected) <= set(state)


@pytest.mark.parametrize(
    'peer', [one for one in PEERS if 'tuned on averages' in one.name],
    ids=str)
def test_averaged_features_are_the_peers(peer, made, tmp_path):
    built = made(peer)
    model = HPViT(**dict(built.kwargs, **built.prefix_kwargs),
                  out_type='avg_featmap').eval()
    load_pretrained(model, built.save(tmp_path), drop=peer.drop)
    x = images_of(built.kwargs['img_size'])
    with torch.no_grad():
        assert relative_error(model(x)[0], built.pooled(x)) < 1e-5


def timm_reads(path):
    from timm.models.vision_transformer import VisionTransformer
    model = VisionTransformer(
        img_size=64, patch_size=16, embed_dim=WIDTH, depth=DEPTH,
        num_heads=HEADS, mlp_ratio=HIDDEN / WIDTH, num_classes=0).eval()
    model.load_state_dict(torch.load(path), strict=True)
    return lambda x: model.forward_features(x)[:, 1:]


def transformers_reads(path):
    from transformers import ViTModel
    model, info = ViTModel.from_pretrained(
        path, add_pooling_layer=False, output_loading_info=True)
    assert not info['missing_keys'] and not info['unexpected_keys']
    return lambda x: model.eval()(x).last_hidden_state[:, 1:]


def mmpretrain_reads(path):
    from mmengine.runner import load_checkpoint
    from mmpretrain.models.backbones import VisionTransformer
    model = VisionTransformer(
        arch=dict(embed_dims=WIDTH, num_layers=DEPTH, num_heads=HEADS,
                  feedforward_channels=HIDDEN),
        img_size=64, patch_size=16, out_type='raw')
    load_checkpoint(model, str(path), strict=True,
                    revise_keys=[(r'^backbone\.', '')])
    model.eval()  # returns nothing there
    return lambda x: model(x)[0][:, 1:]


@pytest.mark.parametrize('to, reads', [
    ('timm', timm_reads), ('hf', transformers_reads),
    ('mmpretrain', mmpretrain_reads)])
def test_others_read_what_goes_back(to, reads, made, tmp_path):
    """timm's ViT, made hierarchical, and given to each of the others."""
    built = made(next(one for one in PEERS if one.name == 'timm, plain'))
    convert(built.save(tmp_path), tmp_path / 'own.pth', stage_depths=(1, 1, 1))
    record = torch.load(tmp_path / 'own.pth')
    record['meta']['backbone']['arch'] = ARCH  # the heads, which no file tells
    torch.save(record, tmp_path / 'own.pth')
    export(tmp_path / 'own.pth', tmp_path / to, to)
    x = images_of(64)
    with torch.no_grad():
        # (B, h * w, C) -> (B, C, h * w)
        ours = reads(tmp_path / to)(x).transpose(1, 2)
        theirs = built.features(x, True).flatten(2)
    assert relative_error(ours, theirs) < 1e-5
