"""Backbones outside of configs, by the names of their architectures."""
import pytest
import torch
from dinov3_file import TINY, write_dinov3

import hpvit_mm
from hpvit_mm.checkpoints.architecture import heads_of
from hpvit_mm.checkpoints.convert import convert
from hpvit_mm.checkpoints.describe import describe
from hpvit_mm.checkpoints.plain import read_plain
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT
from hpvit_mm.models.backbones.archs import ARCHS


@pytest.fixture(scope='module')
def dinov3(tmp_path_factory):
    """A small file with the names of facebookresearch/dinov3."""
    file = tmp_path_factory.mktemp('dinov3') / 'dinov3_vitb16.pth'
    write_dinov3(file)
    return file


def test_three_lines(dinov3):
    backbone = hpvit_mm.create_backbone(
        dict(TINY, base='dinov3-base'), dinov3, stage_depths=(1, 1),
        out_indices=(0, 1))
    assert backbone.feature_info.channels() == [32, 32]
    assert backbone.feature_info.reduction() == [4, 8]
    with torch.no_grad():
        outs = backbone(torch.randn(1, 3, 64, 64))
    assert [one.shape[-1] for one in outs] == [16, 8]


def test_the_file_tells_the_architecture(dinov3, tmp_path):
    tensors = torch.load(dinov3)
    backbone = hpvit_mm.create_backbone(checkpoint=dinov3,
                                        stage_depths=(1, 1))
    assert backbone.arch['num_heads'] == 2  # of the table of periods
    # a size that has no name does not tell its heads
    torch.save({name: tensor for name, tensor in tensors.items()
                if 'periods' not in name}, tmp_path / 'x.pth')
    with pytest.raises(UserError, match='number of heads.*num_heads'):
        hpvit_mm.create_backbone(checkpoint=tmp_path / 'x.pth')
    arch = dict(TINY, base='dinov3-base')
    convert(dinov3, tmp_path / 'file.pth', arch=arch, stage_depths=(2, ),
            patch_stride=16, with_cls_token=True)
    backbone = hpvit_mm.create_backbone(checkpoint=tmp_path / 'file.pth')
    own = backbone.state_dict()
    # queries and values arrive, and nothing of the masked keys
    name = 'blocks.0.attn.'
    q, _, v = tensors[name + 'qkv.bias'].chunk(3)
    assert torch.equal(own[name + 'q_bias'], q)
    assert torch.equal(own[name + 'v_bias'], v)
    assert torch.equal(own['reg_token'], tensors['storage_tokens'])
    convert(dinov3, tmp_path / 'own.pth', stage_depths=(1, 1), arch=arch,
            with_cls_token=True)
    again = hpvit_mm.create_backbone(checkpoint=tmp_path / 'own.pth')
    assert again.rotary and len(again.stages) == 2


def test_a_file_that_does_not_tell_it(tmp_path):
    model = HPViT('deit-tiny', patch_stride=16, stage_depths=(12, ))
    torch.save({name.replace('norms.0', 'norm'): tensor for name, tensor
                in model.state_dict().items()}, tmp_path / 'x.pth')
    with pytest.raises(UserError, match="does not tell.*'deit-tiny'"):
        hpvit_mm.create_backbone(checkpoint=tmp_path / 'x.pth')
    with pytest.raises(UserError, match='needs arch'):
        hpvit_mm.create_backbone()


def test_another_network_than_the_files(dinov3):
    for arch, says in ((TINY, 'rotary.*dinov3|dinov3.*rotary'),
                       (dict(TINY, base='eva02-small'), 'set arch')):
        with pytest.raises(UserError, match=says):
            hpvit_mm.create_backbone(arch, dinov3, patch_stride=16,
                                     patch_size=16, stage_depths=(2, ))


def test_the_description_names_the_architecture(tmp_path):
    from safetensors.torch import save_file
    with torch.device('meta'):
        model = HPViT('dinov3-small', patch_stride=16, stage_depths=(12, ))
    tensors = {name.replace('norms.0', 'norm'): torch.zeros(tensor.shape)
               for name, tensor in model.state_dict().items()}
    save_file(tensors, tmp_path / 'timm.safetensors')
    found = describe(tmp_path / 'timm.safetensors')['encoder']
    assert found['architectures'][0] == 'dinov3-small'
    assert found['backbone']['arch'] == 'dinov3-small'
    del tensors['reg_token']
    save_file(tensors, tmp_path / 'timm.safetensors')
    found = describe(tmp_path / 'timm.safetensors')['encoder']
    assert not found['architectures']
    assert found['differences'] == ('dinov3-small',
                                    {'num_registers': (0, 4)})


@pytest.mark.parametrize('name', ARCHS)
def test_every_name_can_be_built(name):
    with torch.device('meta'):
        backbone = HPViT(name)
    assert backbone.strides == (4, 8, 16, 32)


def test_a_random_backbone_prints_nothing(capfd):
    hpvit_mm.create_backbone('tiny')
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize('arch', ['augreg-tiny', dict(base='augreg-tiny')])
def test_a_name_takes_the_grid_of_the_file(arch, tmp_path):
    options = dict(patch_stride=16, stage_depths=(12, ))
    model = HPViT(arch, img_size=64, **options)
    torch.save({name.replace('norms.0', 'norm'): tensor for name, tensor
                in model.state_dict().items()
                if name != 'prefix_pos_embed'}, tmp_path / 'x.pth')
    own = hpvit_mm.create_backbone(arch, tmp_path / 'x.pth', **options)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(own(image), model.eval()(image))
    convert(tmp_path / 'x.pth', tmp_path / 'own.pth', arch=arch,
            with_cls_token=True, **options)
    for file, changes, grid in (
            ('x.pth', dict(img_size=224), 14), ('own.pth', {}, 4),
            ('x.pth', dict(patch_size=8, patch_stride=8), 4)):
        own = hpvit_mm.create_backbone(arch, tmp_path / file,
                                       **dict(options, **changes))
        assert own.pos_grid == (grid, grid)


@pytest.mark.parametrize('size, heads', [('huge', 16), ('tiny', None)])
def test_heads_that_only_the_family_tells(size, heads, tmp_path):
    with torch.device('meta'):
        tensors = HPViT(f'mae-{size}' if heads else 'deit-tiny', img_size=28,
                        patch_stride=14 if heads else 16,
                        stage_depths=(32 if heads else 12, )).state_dict()
    plain = read_plain({**{name.replace('norms.0', 'norm'): tensor
                           for name, tensor in tensors.items()
                           if name != 'prefix_pos_embed'},
                        'decoder_pred.bias': torch.zeros(1)}, 'x.pth')
    assert heads_of(plain) == heads
