"""Modern plain ViTs, made hierarchical, and given back to their packages."""
import json

import pytest
import torch

from hpvit_mm.checkpoints.convert import convert, own_record
from hpvit_mm.checkpoints.export import export
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

SIZES = dict(embed_dim=64, depth=2, num_heads=2)
OWN = dict(embed_dims=64, num_layers=2, num_heads=2)


def timm_model(name):
    import timm
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=0, **SIZES).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize('name, arch, hidden', [
    ('vit_base_patch16_dinov3_qkvb', 'dinov3-base', 256),
    ('vit_small_patch16_dinov3', 'dinov3-small', 256),
    ('vit_small_plus_patch16_dinov3_qkvb', 'dinov3-small-plus', 256),
    ('eva02_small_patch14_224', 'eva02-small', 170),
    ('eva02_base_patch14_224', 'eva02-base', 170),
    ('vit_pe_spatial_base_patch16_512', 'pe-spatial-base', 256),
    ('aimv2_large_patch14_224', 'aimv2-large', 176)])
def test_timm_gets_the_same_tensors(name, arch, hidden, tmp_path):
    model = timm_model(name)
    torch.save(model.state_dict(), tmp_path / 'timm.pth')
    options = dict(base=arch, feedforward_channels=hidden, **OWN)
    patch = model.patch_embed.patch_size[0]
    convert(tmp_path / 'timm.pth', tmp_path / 'own.pth', arch=options,
            patch_size=patch, patch_stride=patch if patch == 14 else 8,
            stage_depths=(1, 1), with_cls_token=True)
    # the named architecture has the eps of the norms, which no tensor tells
    kwargs = own_record(torch.load(tmp_path / 'own.pth'))['backbone']
    assert 'norm_cfg' not in kwargs
    export(tmp_path / 'own.pth', tmp_path / 'back.pth', 'timm')
    back = torch.load(tmp_path / 'back.pth')
    assert back.keys() == model.state_dict().keys()
    for key, tensor in model.state_dict().items():
        assert torch.equal(back[key], tensor), key


def test_learned_rotary_positions_go_back(tmp_path):
    model = timm_model('vit_base_patch16_rope_mixed_224')
    torch.save(model.state_dict(), tmp_path / 'timm.pth')
    convert(tmp_path / 'timm.pth', tmp_path / 'own.pth', patch_stride=8,
            stage_depths=(1, 1), with_cls_token=True)  # the file tells all
    export(tmp_path / 'own.pth', tmp_path / 'back.pth', 'timm')
    back = torch.load(tmp_path / 'back.pth')
    assert back.keys() == model.state_dict().keys()
    for key, tensor in model.state_dict().items():
        assert torch.equal(back[key], tensor), key


BASE = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=96, image_size=64, patch_size=16)


@pytest.mark.parametrize('cls, options', [
    ('DINOv3ViTModel', dict(num_register_tokens=4)),
    ('DINOv3ViTModel', dict(num_register_tokens=4, use_gated_mlp=True,
                            hidden_act='silu')),
    ('Dinov2Model', {}),
    ('Dinov2Model', dict(use_swiglu_ffn=True)),
    ('Dinov2WithRegistersModel', dict(num_register_tokens=4)),
    ('ViTModel', dict(qkv_bias=False)), ('DeiTModel', {}),
    ('IJepaModel', {}),
    ('CLIPVisionModel', {}), ('CLIPVisionModel', dict(hidden_act='gelu')),
    ('SiglipVisionModel', dict(vision_use_head=False)),
    ('Aimv2VisionModel', dict(use_head=False)),
    ('BeitModel', dict(use_absolute_position_embeddings=True)),
    ('BeitModel', dict(use_mean_pooling=False,
                       use_absolute_position_embeddings=True))])
@torch.no_grad()
def test_transformers_reads_what_goes_back(cls, options, tmp_path):
    import transformers
    # the pooling before their heads is not of the encoder
    more = dict(add_pooling_layer=False) if cls in (
        'ViTModel', 'DeiTModel') else {}
    cls = getattr(transformers, cls)
    torch.manual_seed(0)
    model = cls(cls.config_class(**dict(BASE, **options)), **more).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(tmp_path / 'hf')
    convert(tmp_path / 'hf', tmp_path / 'own.pth', stage_depths=(1, 1),
            with_cls_token=True)
    export(tmp_path / 'own.pth', tmp_path / 'back', 'hf')
    again, info = cls.from_pretrained(
        tmp_path / 'back', output_loading_info=True, **more)
    assert not info['missing_keys'] and not info['unexpected_keys']
    config = json.loads((tmp_path / 'back/config.json').read_text())
    assert config['architectures'] == [cls.__name__]
    assert config['model_type'] == cls.config_class.model_type
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(again(x).last_hidden_state,
                               model(x).last_hidden_state)


@pytest.mark.parametrize('cls, arch', [
    ('Dinov2WithRegistersModel', dict(base='dinov2-reg-base')),
    ('ViTModel', dict(base='deit-base', norm_cfg=dict(type='LN'))),
    ('DINOv3ViTModel', dict(base='dinov3-base', qkv_bias=True)),
    ('DINOv3ViTModel', dict(base='dinov3-base', rotary=dict(
        style='interleaved', order='xy')))])
@torch.no_grad()
def test_what_was_trained_computes_the_same_in_transformers(cls, arch,
                                                            tmp_path):
    """Also the rows that the model has no place for, of registers."""
    import transformers
    arch = dict(OWN, feedforward_channels=256, patch_size=16, img_size=64,
                **arch)
    model = HPViT(arch=arch, patch_stride=16, stage_depths=(2, )).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    torch.save(model.state_dict(), tmp_path / 'own.pth')
    with pytest.raises(UserError, match='give --arch'):
        export(tmp_path / 'own.pth', None, 'hf')
    export(tmp_path / 'own.pth', tmp_path / 'back', 'hf', arch=arch)
    more = dict(add_pooling_layer=False) if cls == 'ViTModel' else {}
    again = getattr(transformers, cls).from_pretrained(
        tmp_path / 'back', **more)
    x = torch.randn(1, 3, 64, 64)
    tokens = again(x).last_hidden_state[:, -16:]  # (1, 4 * 4, C)
    torch.testing.assert_close(
        tokens.mT.unflatten(2, (4, 4)), model(x)[-1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('arch, says', [
    (dict(base='dinov2-base', **OWN, patch_size=16, img_size=(32, 128)),
     'not square'),
    (dict(base='clip-base', **OWN, with_cls_token=False), 'no cls_token'),
    (dict(base='clip-base', **OWN, qk_norm=True), 'no model of transformers'),
    (dict(base='eva02-tiny', **OWN, rotary=None), 'SwiGLU'),
    (dict(base='dinov2-giant', **OWN, patch_size=16, img_size=64,
          feedforward_channels=100),
     'MLPs of width 100'),
    (dict(base='deit-base', **OWN, num_registers=2), 'reg_token')])
def test_networks_that_transformers_lacks(arch, says, tmp_path):
    arch = dict(dict(feedforward_channels=128), **arch)
    model = HPViT(arch=arch, patch_size=16, stage_depths=(1, 1))
    torch.save(model.state_dict(), tmp_path / 'own.pth')
    with pytest.raises(UserError, match=says):
        export(tmp_path / 'own.pth', tmp_path / 'back', 'hf', arch=arch)
    assert not (tmp_path / 'back').exists()


def test_formats_without_rotary_positions(tmp_path):
    torch.save(timm_model('vit_base_patch16_dinov3').state_dict(),
               tmp_path / 'timm.pth')
    arch = dict(base='dinov3-base', feedforward_channels=256, **OWN)
    with pytest.raises(UserError, match='neither a position.*set arch'):
        convert(tmp_path / 'timm.pth', None, stage_depths=(1, 1))
    convert(tmp_path / 'timm.pth', tmp_path / 'own.pth', arch=arch,
            stage_depths=(1, 1), with_cls_token=True)
    for to in ('mae', 'mmpretrain'):
        with pytest.raises(UserError, match='rotary'):
            export(tmp_path / 'own.pth', None, to)
    content = torch.load(tmp_path / 'own.pth')
    torch.save(dict(state_dict=content['state_dict']), tmp_path / 'bare.pth')
    with pytest.raises(UserError, match='--arch'):
        export(tmp_path / 'bare.pth', None, 'timm')
