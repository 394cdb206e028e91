"""Plain ViTs compute the same here as in the package that they come from."""
import re

import pytest
import torch
from peers import ARCH, DEPTH, PEERS, WIDTH
from written_files import WRITTEN

from hpvit_mm.checkpoints import load_pretrained
from hpvit_mm.checkpoints.convert import convert
from hpvit_mm.checkpoints.export import export
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT


def relative_error(ours, theirs):
    assert ours.shape == theirs.shape
    return ((ours - theirs).norm() / theirs.norm()).item()


def images_of(size):
    """Images of the size (side, or height and width) of a pre-training."""
    height, width = (size, size) if isinstance(size, int) else size
    generator = torch.Generator().manual_seed(7)
    return torch.randn(2, 3, height, width, generator=generator)


@pytest.mark.parametrize('peer', PEERS, ids=str)
@torch.no_grad()
def test_features_are_the_peers(peer, tmp_path, record_property):
    built = peer.make()
    path = peer.save(built.model, tmp_path)
    plain = HPViT(**built.kwargs).eval()
    if peer.refused or peer.drop:
        with pytest.raises(UserError, match=peer.refused or 'drop='):
            load_pretrained(plain, path)
        if peer.refused:
            return
    x = images_of(built.kwargs['img_size'])
    errors = []
    for keep_prefix in (False, True):
        model = HPViT(**built.kwargs, **built.prefix_kwargs).eval() \
            if keep_prefix else plain
        report = load_pretrained(model, path, drop=peer.drop)
        assert report.family == peer.family and not report.resampled
        errors.append(relative_error(model(x)[0],
                                     built.features(x, keep_prefix)))
    if built.pooled:
        model = HPViT(**built.kwargs, **built.prefix_kwargs,
                      out_type='avg_featmap').eval()
        load_pretrained(model, path, drop=peer.drop)
        errors.append(relative_error(model(x)[0], built.pooled(x)))
    record_property('error', max(errors))
    assert max(errors) < 1e-5


@pytest.mark.parametrize('file', WRITTEN, ids=str)
def test_what_is_in_the_file_arrives(file, tmp_path):
    tensors, path = file.tensors(), tmp_path / 'file'
    file.write(path)
    scaled = any('ls1' in name for name in tensors)
    registers = next((tensors[name].shape[1] for name in
                      ('reg_token', 'dist_token') if name in tensors), 0)
    model = HPViT(
        ARCH, img_size=64, stage_depths=(DEPTH, ), patch_stride=16,
        layer_scale_init_value=float(scaled),
        out_type='avg_featmap' if 'fc_norm.weight' in tensors else 'featmap',
        with_cls_token='cls_token' in tensors, num_registers=registers)
    if file.refused:
        with pytest.raises(UserError, match=file.refused):
            load_pretrained(model, path, **file.options)
        return
    report = load_pretrained(model, path, **file.options)
    assert report.family == file.family
    state = model.state_dict()
    expected = {}
    for name, tensor in tensors.items():
        name = re.sub(r'^(fc_)?norm\.', 'norms.0.', name)
        expected[name.replace('dist_token', 'reg_token')] = tensor
    position = expected.pop('pos_embed', torch.zeros(1, file.rows + 16,
                                                     WIDTH))
    expected['pos_embed'] = position[:, file.rows:]
    if 'prefix_pos_embed' in state:
        rows = torch.zeros_like(state['prefix_pos_embed'])
        rows[:, :file.rows] = position[:, :file.rows]
        expected['prefix_pos_embed'] = rows
    for name, tensor in state.items():
        if name in expected:
            assert torch.equal(tensor, expected[name]), name
        else:
            assert name in report.new
    assert set(expected) <= set(state)


def timm_reads(path):
    from timm.models.vision_transformer import VisionTransformer
    model = VisionTransformer(
        img_size=64, patch_size=16, embed_dim=WIDTH, depth=DEPTH,
        num_heads=ARCH['num_heads'], num_classes=0,
        mlp_ratio=ARCH['feedforward_channels'] / WIDTH).eval()
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
    model = VisionTransformer(arch=dict(ARCH), img_size=64, patch_size=16,
                              out_type='raw')
    load_checkpoint(model, str(path), strict=True,
                    revise_keys=[(r'^backbone\.', '')])
    model.eval()  # returns nothing there
    return lambda x: model(x)[0][:, 1:]


@pytest.mark.parametrize('to, reads', [
    ('timm', timm_reads), ('hf', transformers_reads),
    ('mmpretrain', mmpretrain_reads)])
@torch.no_grad()
def test_others_read_what_goes_back(to, reads, tmp_path):
    """timm's ViT, made hierarchical, and given to each of the others."""
    peer = PEERS[0]
    built = peer.make()
    convert(peer.save(built.model, tmp_path), tmp_path / 'own.pth',
            stage_depths=(1, 1))
    record = torch.load(tmp_path / 'own.pth')
    record['meta']['backbone']['arch'] = ARCH  # the heads, which no file tells
    torch.save(record, tmp_path / 'own.pth')
    export(tmp_path / 'own.pth', tmp_path / to, to)
    x = images_of(64)
    # (B, h * w, C) -> (B, C, h * w)
    ours = reads(tmp_path / to)(x).transpose(1, 2)
    assert relative_error(ours, built.features(x, True).flatten(2)) < 1e-5
