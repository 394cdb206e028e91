"""Converting files, there and back."""
import os
import stat

import pytest
import torch

from hpvit_mm.checkpoints import load_pretrained, read_checkpoint
from hpvit_mm.checkpoints.convert import convert
from hpvit_mm.checkpoints.export import export
from hpvit_mm.checkpoints.write import write_checkpoint
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

DEPTHS = (1, 1, 2, 1)
ARCH = dict(embed_dims=64, num_layers=5, num_heads=1,
            feedforward_channels=256)


def encoder(**options):
    """The encoder of a plain ViT, random, by MAE's names."""
    model = HPViT(**dict(dict(
        arch=ARCH, stage_depths=(5, ), patch_stride=16, img_size=64,
        with_cls_token=True), **options))
    tensors = {name.replace('norms.0', 'norm'): torch.randn_like(tensor)
               for name, tensor in model.state_dict().items()}
    prefix = tensors.pop('prefix_pos_embed')
    tensors['pos_embed'] = torch.cat([prefix, tensors['pos_embed']], dim=1)
    return tensors


@pytest.fixture
def mae(tmp_path):
    tensors = encoder()
    path = tmp_path / 'mae.pth'
    torch.save({'model': tensors}, path)
    return path, tensors


def same(one, other):
    assert set(one) == set(other)
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name
        assert tensor.dtype == other[name].dtype


def hierarchical(**kwargs) -> HPViT:
    return HPViT(**dict(dict(arch=ARCH, stage_depths=DEPTHS, img_size=64),
                        **kwargs))


@pytest.mark.parametrize('name', ['hpvit.pth', 'hpvit.safetensors'])
def test_a_converted_file_is_what_loading_the_plain_one_gives(
        mae, tmp_path, name):
    path, _ = mae
    report, backbone = convert(path, tmp_path / name, stage_depths=DEPTHS,
                               pooling='conv')
    from_plain, from_own = (hierarchical(pooling='conv') for _ in range(2))
    load_pretrained(from_plain, path)
    again = load_pretrained(from_own, tmp_path / name)
    same(from_plain.state_dict(), from_own.state_dict())
    assert again.new == {}
    assert HPViT(**backbone).stage_depths == DEPTHS
    assert 'pools.0.weight' in report.new


@pytest.mark.parametrize('ending, with_cls_token', [
    ('pth', False), ('safetensors', True)])
def test_there_and_back_is_the_same_bit_for_bit(mae, tmp_path, ending,
                                                with_cls_token):
    path, tensors = mae
    own, back = tmp_path / f'own.{ending}', tmp_path / f'back.{ending}'
    convert(path, own, stage_depths=DEPTHS, with_cls_token=with_cls_token)
    export(own, back, 'mae')
    content = read_checkpoint(back)
    same(content.get('model', content.get('state_dict')), tensors)


@pytest.mark.parametrize('to', ['timm', 'mmpretrain', 'hf'])
def test_every_format_can_be_read_again(mae, tmp_path, to):
    path, tensors = mae
    convert(path, tmp_path / 'own.pth', stage_depths=DEPTHS)
    export(tmp_path / 'own.pth', tmp_path / to, to)
    convert(tmp_path / to, tmp_path / 'again.pth', stage_depths=DEPTHS)
    export(tmp_path / 'again.pth', tmp_path / 'back.pth', 'mae')
    same(torch.load(tmp_path / 'back.pth')['model'], tensors)


@pytest.mark.parametrize('options', [
    dict(num_registers=3),
    dict(layer_scale_init_value=1e-5),
    dict(pre_norm=True),
    dict(with_cls_token=False, num_registers=2),
    dict(qkv_bias=False),
])
@pytest.mark.parametrize('with_cls_token', [False, True])
def test_timm_takes_all_that_hpvit_has(tmp_path, options,
                                       with_cls_token):
    tensors = encoder(**options)
    torch.save(tensors, tmp_path / 'timm.pth')
    arch = dict(ARCH, act='gelu') if 'pre_norm' in options else None
    convert(tmp_path / 'timm.pth', tmp_path / 'own.pth', arch=arch,
            stage_depths=DEPTHS, with_cls_token=with_cls_token)
    export(tmp_path / 'own.pth', tmp_path / 'back.pth', 'timm')
    same(torch.load(tmp_path / 'back.pth'), tensors)


def test_rows_for_prefix_tokens_come_back_only_if_they_were_there(tmp_path):
    tensors = encoder()
    tensors['pos_embed'] = tensors['pos_embed'][:, 1:].clone()
    torch.save(tensors, tmp_path / 'deit3.pth')
    convert(tmp_path / 'deit3.pth', tmp_path / 'own.pth', stage_depths=DEPTHS,
            with_cls_token=True)
    export(tmp_path / 'own.pth', tmp_path / 'back.pth', 'timm')
    same(torch.load(tmp_path / 'back.pth'), tensors)


def test_a_distillation_token_comes_back(tmp_path):
    tensors = encoder(num_registers=1)
    tensors['dist_token'] = tensors.pop('reg_token')
    torch.save({'model': tensors}, tmp_path / 'deit.pth')
    convert(tmp_path / 'deit.pth', tmp_path / 'own.pth', stage_depths=DEPTHS)
    export(tmp_path / 'own.pth', tmp_path / 'back.pth', 'mae')
    same(torch.load(tmp_path / 'back.pth')['model'], tensors)


@pytest.mark.parametrize('kwargs', [
    dict(with_cls_token=True, num_registers=2), dict(num_registers=2)])
def test_prefix_tokens_that_were_set_aside_can_still_be_had(tmp_path, kwargs):
    torch.save(encoder(num_registers=2), tmp_path / 'timm.pth')
    convert(tmp_path / 'timm.pth', tmp_path / 'own.pth', stage_depths=DEPTHS)
    from_plain, from_own = hierarchical(**kwargs), hierarchical(**kwargs)
    load_pretrained(from_plain, tmp_path / 'timm.pth')
    load_pretrained(from_own, tmp_path / 'own.pth')
    same(from_plain.state_dict(), from_own.state_dict())


@pytest.mark.parametrize('with_cls_token', [False, True])
def test_other_stages_later(mae, tmp_path, with_cls_token):
    """A converted file, regrouped, still goes back bit for bit."""
    path, tensors = mae
    convert(path, tmp_path / 'own.pth', stage_depths=DEPTHS,
            with_cls_token=with_cls_token)
    report, backbone = convert(
        tmp_path / 'own.pth', tmp_path / 'other.pth', stage_depths=(3, 2),
        with_cls_token=with_cls_token)
    assert report.family == 'HPViT of 4 stages'
    assert backbone.get('img_size', 224) == 64
    model = HPViT(**backbone)
    assert load_pretrained(model, tmp_path / 'other.pth').new == {}
    assert torch.equal(model.norms['1'].weight, tensors['norm.weight'])
    export(tmp_path / 'other.pth', tmp_path / 'back.pth', 'mae')
    same(torch.load(tmp_path / 'back.pth')['model'], tensors)


def test_half_precision_stays(tmp_path):
    tensors = {name: one.half() for name, one in encoder().items()}
    torch.save({'model': tensors}, tmp_path / 'mae.pth')
    convert(tmp_path / 'mae.pth', tmp_path / 'own.pth', stage_depths=DEPTHS)
    export(tmp_path / 'own.pth', tmp_path / 'back.pth', 'mae')
    same(torch.load(tmp_path / 'back.pth')['model'], tensors)


def test_conv_pooling_starts_as_average_pooling(mae, tmp_path):
    path, _ = mae
    outs, x = [], torch.randn(2, 3, 64, 64)
    for pooling in ('conv', 'avg'):
        out = tmp_path / f'{pooling}.pth'
        convert(path, out, stage_depths=DEPTHS, pooling=pooling)
        model = hierarchical(pooling=pooling).eval()
        load_pretrained(model, out)
        with torch.no_grad():
            outs.append(model(x))
    for conv, avg in zip(*outs):
        torch.testing.assert_close(conv, avg, rtol=1e-4, atol=1e-4)


def test_positions_for_other_images_and_patches(mae, tmp_path):
    path, tensors = mae
    report, backbone = convert(
        path, tmp_path / 'own.pth', stage_depths=DEPTHS, img_size=(96, 48))
    assert report.resampled == {'pos_embed': ((4, 4), (6, 3))}
    assert backbone['img_size'] == [96, 48]
    report, _ = convert(path, tmp_path / 'p.pth', stage_depths=DEPTHS,
                        patch_size=32, patch_resize='pad')
    assert list(report.resampled) == ['patch_embed.proj.weight (pad)']
    kernel = torch.load(tmp_path / 'p.pth')['state_dict'][
        'patch_embed.proj.weight']
    assert torch.equal(kernel[..., 8:-8, 8:-8],
                       tensors['patch_embed.proj.weight'])


def test_a_training_checkpoint_is_stripped_to_its_backbone(tmp_path):
    model = hierarchical()
    torch.save(dict(
        state_dict={**{f'backbone.{k}': v
                       for k, v in model.state_dict().items()},
                    'head.weight': torch.ones(3)},
        optimizer=dict(state={}), meta=dict(epoch=3, cfg='import os')),
        tmp_path / 'epoch_3.pth')
    report, _ = convert(tmp_path / 'epoch_3.pth', tmp_path / 'own.pth')
    content = torch.load(tmp_path / 'own.pth')
    same(content['state_dict'], model.state_dict())
    assert set(content['meta']) == {'hpvit_mm'}
    assert report.ignored == {'head.weight': 'not in the encoder'}


def test_what_was_trained_goes_back_too(tmp_path):
    """From a file without a record, as a training writes it."""
    model = hierarchical(with_cls_token=True, pooling='conv')
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'own.pth')
    report = export(tmp_path / 'own.pth', tmp_path / 'mae.pth', 'mae')
    tensors = torch.load(tmp_path / 'mae.pth')['model']
    assert tensors['pos_embed'].shape == (1, 17, 64)
    assert torch.equal(tensors['norm.bias'], model.norms['3'].bias)
    assert report.ignored['pools.0.weight'] == 'a plain ViT has no such part'
    plain = HPViT(arch=ARCH, stage_depths=(5, ), patch_stride=16, img_size=64,
                  with_cls_token=True)
    load_pretrained(plain, tmp_path / 'mae.pth')


@pytest.mark.parametrize('part', ['weight', 'bias'])
def test_trained_poolings_are_not_dropped(tmp_path, part):
    """Convolutions that are still the average may be."""
    model = hierarchical(pooling='conv')
    torch.save(model.state_dict(), tmp_path / 'own.pth')
    load_pretrained(hierarchical(), tmp_path / 'own.pth')
    with torch.no_grad():
        getattr(model.pools[1], part)[0] += 1e-3
    torch.save(model.state_dict(), tmp_path / 'own.pth')
    with pytest.raises(UserError, match=r"pools\.1, where.*pooling='conv'"):
        load_pretrained(hierarchical(), tmp_path / 'own.pth')


@pytest.mark.parametrize('ending', ['pth', 'safetensors'])
def test_others_may_read_what_is_written(mae, tmp_path, ending):
    path, _ = mae
    out = tmp_path / f'own.{ending}'
    convert(path, out, stage_depths=DEPTHS)
    assert stat.S_IMODE(out.stat().st_mode) == stat.S_IMODE(
        path.stat().st_mode)


# --------------------------------------------------------------- bad input


def test_an_existing_output_stays(mae, tmp_path):
    path, _ = mae
    out = tmp_path / 'own.pth'
    out.write_text('mine')
    for call in (lambda: convert(path, out, stage_depths=DEPTHS),
                 lambda: export(path, out, 'mae')):
        with pytest.raises(UserError, match='--force'):
            call()
    assert out.read_text() == 'mine'
    convert(path, out, stage_depths=DEPTHS, force=True)
    assert torch.load(out)


def test_a_folder_is_never_replaced(mae, tmp_path):
    path, _ = mae
    (tmp_path / 'folder').mkdir()
    with pytest.raises(UserError, match='exists'):
        convert(path, tmp_path / 'folder', force=True)


@pytest.mark.parametrize('destination', ['/proc/x.pth', 'mae.pth/x.pth'])
def test_places_that_cannot_be_written(mae, destination, monkeypatch):
    path, _ = mae
    monkeypatch.chdir(path.parent)
    with pytest.raises(UserError, match='cannot be written'):
        convert(path, destination, stage_depths=DEPTHS)


@pytest.mark.parametrize('ending', ['pth', 'safetensors'])
def test_a_full_disk_leaves_the_old_file(tmp_path, ending, monkeypatch):
    out = tmp_path / f'own.{ending}'
    write_checkpoint({'a': torch.ones(1)}, out, {})
    before = out.read_bytes()

    def full(*args, **kwargs):
        raise RuntimeError('PytorchStreamWriter failed writing file')

    monkeypatch.setattr('torch.save', full)
    monkeypatch.setattr('hpvit_mm.checkpoints.write.save_file', full)
    with pytest.raises(UserError, match='free some space'):
        write_checkpoint({'a': torch.zeros(1)}, out, {})
    assert out.read_bytes() == before
    assert os.listdir(tmp_path) == [out.name]


@pytest.mark.parametrize('to, options, says', [
    ('mae', dict(with_cls_token=False, num_registers=1), 'reg_token'),
    ('mae', dict(layer_scale_init_value=1.), 'ls1.gamma'),
    ('hf', dict(pre_norm=True), 'rotary positions: give --arch'),
    ('mmpretrain', dict(num_registers=1, with_cls_token=True), 'reg_token'),
])
def test_formats_without_a_place_for_something(tmp_path, to, options, says):
    model = hierarchical(**options)
    torch.save(model.state_dict(), tmp_path / 'own.pth')
    with pytest.raises(UserError, match=says):
        export(tmp_path / 'own.pth', tmp_path / 'out', to)
    assert os.listdir(tmp_path) == ['own.pth']


def test_only_hpvit_goes_back(mae, tmp_path):
    with pytest.raises(UserError, match='of the family MAE or timm ViT'):
        export(mae[0], tmp_path / 'out.pth', 'timm')
