"""Heads, grids and activations that a file tells beside its tensors."""
import pytest
import torch
from dinov3_file import TINY, write_dinov3

import hpvit_mm
from hpvit_mm.checkpoints import save_pretrained
from hpvit_mm.checkpoints.architecture import same_rotary, told_by_periods
from hpvit_mm.checkpoints.convert import backbone_arguments, convert
from hpvit_mm.checkpoints.export import export
from hpvit_mm.checkpoints.plain import read_plain
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

SIZES = dict(embed_dims=32, num_layers=2, num_heads=4,
             feedforward_channels=64)


def tensors_of(**options):
    """A plain ViT's, by MAE's names, with a random embedding."""
    torch.manual_seed(0)
    model = HPViT(**dict(dict(arch=SIZES), patch_stride=16, **options))
    torch.nn.init.normal_(model.pos_embed)
    return {name.replace('norms.0', 'norm'): tensor
            for name, tensor in model.state_dict().items()}


def content(tensors, **config):
    return dict(state_dict=tensors, config=config)


@pytest.mark.parametrize('config', [
    dict(image_size=[32, 128]),
    dict(architecture='vit_x', model_args=dict(img_size=[32, 128])),
    dict(architecture='vit_x', pretrained_cfg=dict(
        input_size=[3, 32, 128]))])
def test_the_grid_of_the_config(config):
    """16 positions are no 4 x 4 where the file says 2 x 8."""
    tensors = tensors_of(img_size=(32, 128))
    plain = read_plain(content(tensors, **config), 'x.pth', grid=(4, 4))
    assert plain.grid == (2, 8)


def test_a_config_of_another_size():
    """timm's entry is the pre-training's, whatever the model has."""
    plain = read_plain(content(
        tensors_of(img_size=64), architecture='vit_x',
        pretrained_cfg=dict(input_size=[3, 224, 224])), 'x.pth')
    assert plain.grid == (4, 4)


def test_the_heads_of_the_arguments_of_timm():
    plain = read_plain(content(
        tensors_of(), architecture='vit_x', model_args=dict(num_heads=8)),
        'x.pth')
    assert plain.num_heads == 8


@pytest.mark.parametrize('config, says', [
    (dict(architecture='vit_x', model_args=dict(act_layer='relu')),
     'model_args.act_layer'),
    (dict(architecture='vit_x', model_args=dict(rope_temperature=10.)),
     'model_args.rope_temperature'),
    (dict(architecture='qwen3_vit_88m'), 'rotary positions beside')])
def test_what_no_tensor_shows(config, says):
    with pytest.raises(UserError, match=says):
        read_plain(content(tensors_of(), **config), 'x.pth')


def test_numbers_that_are_no_weights():
    tensors = tensors_of()
    tensors['blocks.0.attn.qkv.weight'] = torch.ones(96, 32,
                                                     dtype=torch.int8)
    with pytest.raises(UserError, match='qkv.weight as int8'):
        read_plain(content(tensors), 'x.pth')


def test_patches_that_are_not_square():
    tensors = tensors_of()
    tensors['patch_embed.proj.weight'] = torch.ones(32, 3, 16, 8)
    with pytest.raises(UserError, match='patches of 16 x 8 pixels'):
        read_plain(content(tensors), 'x.pth')


def test_a_converted_file_keeps_heads_and_grid(tmp_path):
    torch.save(tensors_of(img_size=(32, 128)), tmp_path / 'x.pth')
    arch = dict(SIZES, img_size=(32, 128))
    convert(tmp_path / 'x.pth', tmp_path / 'own.pth', arch=arch,
            img_size=(32, 128), stage_depths=(1, 1))
    again = hpvit_mm.create_backbone(checkpoint=tmp_path / 'own.pth')
    assert again.pos_grid == (2, 8)
    with pytest.raises(UserError, match='4 attention heads'):
        hpvit_mm.create_backbone(dict(arch, num_heads=2),
                                 tmp_path / 'own.pth', stage_depths=(1, 1))
    # as 4 x 4 the rows would be another table
    square = HPViT(SIZES, img_size=64, stage_depths=(1, 1), init_cfg=dict(
        type='Pretrained', checkpoint=str(tmp_path / 'own.pth')))
    square.init_weights()
    assert not torch.equal(square.pos_embed, again.pos_embed)


def test_positions_that_are_not_square(tmp_path):
    torch.save(tensors_of(img_size=(32, 96)), tmp_path / 'x.pth')
    with pytest.raises(UserError, match='img_size'):
        convert(tmp_path / 'x.pth', None, arch=SIZES, stage_depths=(1, 1))
    _, backbone = convert(tmp_path / 'x.pth', None, arch=SIZES,
                          stage_depths=(1, 1), img_size=(32, 96))
    assert tuple(backbone['img_size']) == (32, 96)


def test_the_printed_line_keeps_the_grid(tmp_path):
    """For strides of 4 the size counts patches of 16, not of 14."""
    model = HPViT(dict(SIZES, base='dinov2-small', img_size=140),
                  patch_size=14, patch_stride=14)
    torch.save({name.replace('norms.0', 'norm'): tensor
                for name, tensor in model.state_dict().items()},
               tmp_path / 'x.pth')
    plain = read_plain(torch.load(tmp_path / 'x.pth'), 'x.pth')
    backbone = backbone_arguments(plain, known=dict(SIZES,
                                                    base='dinov2-small'))
    assert HPViT(**backbone, stage_depths=(1, 1)).pos_grid == (10, 10)


@pytest.mark.parametrize('options, says', [
    (dict(arch='dinov3_vits16'), "nearest ones are 'dinov3-small'"),
    (dict(arch='base', pretrained=True), 'checkpoint=FILE'),
    (dict(arch='base', depths=(1, 1)), 'stage_depths')])
def test_words_of_other_libraries(options, says):
    with pytest.raises(UserError, match=says):
        hpvit_mm.create_backbone(**options)


def test_one_stage_where_patches_do_not_overlap():
    backbone = hpvit_mm.create_backbone(dict(SIZES, img_size=64),
                                        patch_stride=16)
    assert backbone.feature_info.reduction() == [16]


def test_the_base_and_heads_of_dinov3s_periods(tmp_path):
    tensors = write_dinov3(tmp_path / 'x.pth')
    arch = dict(TINY, base='dinov3-base')
    assert read_plain(tensors, 'x.pth').num_heads == 2
    load = dict(checkpoint=tmp_path / 'x.pth', stage_depths=(1, 1))
    hpvit_mm.create_backbone(arch, **load)
    tensors['rope_embed.periods'] = 1000.**(torch.arange(4) / 4)
    torch.save(tensors, tmp_path / 'x.pth')
    assert read_plain(tensors, 'x.pth').told['rotary']['base'] == \
        pytest.approx(1000.)
    with pytest.raises(UserError, match='rotary'):
        hpvit_mm.create_backbone(arch, **load)


@pytest.mark.parametrize('config, heads, eps', [
    (dict(architecture='vit_tiny_patch16_224'), 3, None),
    (dict(architecture='vit_x'), None, None),
    (dict(model_type='clip_vision_model'), None, 1e-5),
    (dict(model_type='smolvlm_vision'), None, 1e-6),
    (dict(model_type='depth_anything', backbone_config=dict(
        model_type='dinov2')), None, 1e-6),
    (dict(architecture='vit_base_patch16_224'), None, None)])
def test_what_a_class_has_where_its_config_is_silent(config, heads, eps):
    sizes = dict(SIZES, embed_dims=192)
    plain = read_plain(content(tensors_of(arch=sizes), **config), 'x.pth')
    assert plain.num_heads == heads
    assert plain.told.get('norm_cfg', dict(eps=None))['eps'] == eps


@pytest.mark.parametrize('config, says', [
    (dict(num_attention_heads='4'), "num_attention_heads='4'"),
    (dict(layer_norm_eps=-1.), 'layer_norm_eps=-1.0'),
    (dict(rope_theta=[1]), 'rope_theta'),
    (dict(model_type='vilt'), 'type vilt'),
    (dict(model_type='paddleocr_vl_vision'), 'type paddleocr'),
    (dict(model_args=dict(num_heads=[4])), r'num_heads=\[4\]'),
    (dict(hidden_act=['gelu']), 'activation')])
def test_a_damaged_config(config, says):
    with pytest.raises(UserError, match=says):
        read_plain(content(tensors_of(), **config), 'x.pth')


@pytest.mark.parametrize('config', [
    dict(image_size='32'), dict(image_size={'height': 32}),
    dict(image_size=[-32, 128]), dict(pretrained_cfg='x'),
    dict(model_args='x'), dict(rope_theta=None)])
def test_entries_of_a_config_that_tell_nothing(config):
    plain = read_plain(content(tensors_of(img_size=64), **config), 'x.pth')
    assert plain.grid == (4, 4)


def test_the_state_of_an_average_is_no_model():
    tensors = dict(model_ema=dict(decay=torch.tensor(.9)), model=tensors_of())
    assert read_plain(tensors, 'x.pth').embed_dims == 32


@pytest.mark.parametrize('argument', [
    dict(patch_stride=4.), dict(window_size=None), dict(out_indices=1.5),
    dict(stage_depths='11'), dict(frozen_stages='1'), dict(attention=3),
    dict(img_size='224'), dict(pre_norm='no'), dict(with_cp='yes'),
    dict(drop_rate='a'), dict(arch=dict(SIZES, num_heads='4')),
    dict(norm_cfg='LN'), dict(norm_cfg=dict(type='LN', epsilon=1)),
    dict(norm_cfg={}), dict(norm_cfg=dict(type='GN')),
    dict(layer_scale_init_value='a'),
    dict(layer_scale_init_value=float('nan')), dict(attention=[3, 3])])
def test_arguments_of_another_type(argument):
    name = next(iter(argument))
    with pytest.raises(UserError, match='num_heads' if name == 'arch'
                       else name):
        HPViT(**dict(dict(arch=SIZES, stage_depths=(1, 1)), **argument))


@pytest.mark.parametrize('name, width, heads', [
    ('vit_base_patch32_224', 768, 12), ('vit_medium_patch16_gap_256', 512, 8),
    ('vit_base_patch16_gap_224', 768, 16), ('vit_huge_patch14_224', 1280, 16),
    ('vit_huge_plus_patch16_dinov3', 1280, 20),
    ('aimv2_large_patch14_224', 1024, 8), ('vit_7b_patch16_dinov3', 4096, 32)])
def test_the_heads_of_an_architecture_of_timm(name, width, heads):
    from hpvit_mm.checkpoints import config_json
    assert config_json.heads_of_config(dict(architecture=name), width) == heads
    # of another width the name tells nothing
    assert config_json.heads_of_config(dict(
        architecture=name, model_args=dict(embed_dim=width)), width) is None


@pytest.mark.parametrize('part', ['weight', 'bias'])
def test_half_of_the_last_norm(part):
    tensors = tensors_of()
    del tensors[f'norm.{part}']
    with pytest.raises(UserError, match='half of a norm'):
        read_plain(content(tensors), 'x.pth')


@pytest.mark.parametrize('name, tensor, says', [
    ('norm.weight_orig', torch.ones(32), 'does not know, norm.weight_orig'),
    ('blocks.0.mlp.fc1.weight', torch.tensor(1.), 'fc1.weight with the shape'),
    ('cls_token', torch.tensor(1.), 'cls_token with the shape'),
    ('pos_embed', torch.ones(1, 196, 32).to_sparse(), 'without values')])
def test_damaged_tensors(name, tensor, says):
    with pytest.raises(UserError, match=says):
        read_plain(content(dict(tensors_of(), **{name: tensor})), 'x.pth')


def test_a_file_without_blocks():
    tensors = {name: one for name, one in tensors_of().items()
               if not name.startswith('blocks.')}
    with pytest.raises(UserError, match='no blocks'):
        read_plain(content(tensors), 'x.pth')


def test_averaged_weights_come_first():
    raw, averaged = tensors_of(), tensors_of(with_cls_token=True)
    for name in ('ema', 'ema_model', 'model_ema', 'state_dict_ema'):
        plain = read_plain({'model': raw, name: averaged}, 'x.pth')
        assert 'cls_token' in plain.tensors
    # its state is not a model
    plain = read_plain(dict(model=raw, ema=dict(shadow=averaged)), 'x.pth')
    assert 'cls_token' not in plain.tensors


def test_the_checkpoint_of_init_cfg(tmp_path):
    torch.save(tensors_of(), tmp_path / 'x.pth')
    options = dict(type='Pretrained', checkpoint=str(tmp_path / 'x.pth'))
    kwargs = dict(patch_stride=16, init_cfg=options)
    backbone = hpvit_mm.create_backbone(SIZES, **kwargs)
    torch.testing.assert_close(backbone.state_dict()['pos_embed'],
                               tensors_of()['pos_embed'])
    for wrong, says in ((dict(drop=['rotary_position']), 'one path'),
                        ('x.pth', 'must be a dict')):
        with pytest.raises(UserError, match=says):
            hpvit_mm.create_backbone(SIZES, init_cfg=wrong)
    with pytest.raises(UserError, match="did you mean 'out_indices'"):
        hpvit_mm.create_backbone(SIZES, tmp_path / 'x.pth', out_indice=1)


@pytest.mark.parametrize('arch', [None, 'ViT-B-16-quickgelu', 'vit_tiny'])
def test_an_entry_arch_of_another_project(arch):
    """Only a name of timm's tells the activation."""
    tensors = tensors_of(pre_norm=True)
    plain = read_plain(dict(state_dict=tensors, arch=arch), 'x.pth')
    assert 'act' not in plain.told
    for name in ('', 'hf-hub:timm/'):
        plain = read_plain(dict(state_dict=tensors, arch=name + (
            'vit_base_patch16_clip_quickgelu_224.openai')), 'x')
        assert plain.told['act'] == 'quick_gelu'


def test_an_architecture_that_is_null():
    plain = read_plain(content(tensors_of(), architecture=None,
                               model_type='vit', hidden_act='gelu_new'), 'x')
    assert plain.told['act'] == 'gelu_tanh'


def test_converted_again(tmp_path):
    """The eps and the prefix tokens stay."""
    path, once, twice = (str(tmp_path / name) for name in (
        'plain.pth', 'once.pth', 'twice.pth'))
    torch.save(content(tensors_of(with_cls_token=True), model_type='vit',
                       num_attention_heads=4, layer_norm_eps=1e-3), path)
    convert(path, once, stage_depths=(1, 1), with_cls_token=True)
    _, backbone = convert(once, twice, stage_depths=(2, ), patch_stride=16)
    assert backbone['norm_cfg']['eps'] == 1e-3
    assert backbone['with_cls_token'] is True
    convert(path, once, stage_depths=(1, 1), with_cls_token=False, force=True)
    _, kept = convert(once, None, stage_depths=(2, ), with_cls_token=True)
    assert kept['with_cls_token'] is True
    image = torch.randn(1, 3, 32, 32)
    ours = hpvit_mm.create_backbone(checkpoint=twice)
    direct = hpvit_mm.create_backbone(
        checkpoint=path, patch_stride=16, with_cls_token=True)
    torch.testing.assert_close(ours(image), direct(image))


def test_the_config_of_an_image_encoder_of_flava():
    plain = read_plain(dict(state_dict=tensors_of(), config=dict(
        model_type='flava', image_config=dict(
            hidden_act='quick_gelu', num_attention_heads=2))), 'x')
    assert plain.told['act'] == 'quick_gelu' and plain.num_heads == 2


def test_a_gate_of_gelu():
    """transformers' DINOv3 has GELU where config.json has no hidden_act."""
    with pytest.raises(UserError, match='gated MLP with the activation gelu'):
        read_plain(content(tensors_of(), model_type='dinov3_vit',
                           use_gated_mlp=True), 'x')


@pytest.mark.parametrize('base', [99., 101., 50.])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_a_base_near_that_of_dinov3(base, dtype):
    periods = (base**(torch.arange(16) / 16)).to(dtype)
    heads, found = told_by_periods(periods, 128, 'x.pth')
    assert heads == 2
    assert abs(found / base - 1) < (1e-4 if dtype == torch.float32 else 5e-3)
    assert not same_rotary(dict(base=99.), dict(base=100.))


@pytest.mark.parametrize('head_dims', [48, 64, 96, 112, 128, 192])
def test_a_table_computed_in_bfloat16(head_dims):
    exponents = 2 * torch.arange(head_dims // 4, dtype=torch.bfloat16) / (
        head_dims // 2)
    assert told_by_periods(100.**exponents, 2 * head_dims, 'x.pth') == (
        2, 100.)


@pytest.mark.parametrize('drop', [None, 5, [None], [['x']]])
def test_what_is_no_list_of_parts(drop):
    with pytest.raises(UserError, match='drop must be a list'):
        read_plain(content(tensors_of()), 'x.pth', drop=drop)


def test_a_folder_of_save_pretrained(tmp_path):
    config = dict(type='hpvit_mm.HPViT', arch=SIZES, norm_cfg=dict(
        type='LN', eps=1e-3), patch_stride=16)
    backbone = HPViT(**{key: value for key, value in config.items()
                        if key != 'type'}).eval()
    save_pretrained(backbone, config, tmp_path / 'folder')
    again = hpvit_mm.create_backbone(checkpoint=str(tmp_path / 'folder'))
    image = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(again(image), backbone(image))


def test_layer_scale_of_beit_for_timm(tmp_path):
    kwargs = dict(arch=SIZES, qkv_bias='qv', patch_stride=16,
                  layer_scale_init_value=0.1)
    torch.save(dict(state_dict=HPViT(**kwargs).state_dict(), meta=dict(
        hpvit_mm='0', backbone=kwargs)), tmp_path / 'own.pth')
    export(str(tmp_path / 'own.pth'), str(tmp_path / 'back.pth'), 'timm')
    content = torch.load(tmp_path / 'back.pth')
    assert 'blocks.0.gamma_1' in content.get('state_dict', content)


@pytest.mark.parametrize('to', ['mae', 'mmpretrain'])
def test_biases_of_queries_and_values_are_joined(tmp_path, to):
    kwargs = dict(arch=SIZES, qkv_bias='qv', patch_stride=16,
                  with_cls_token=True)
    torch.save(dict(state_dict=HPViT(**kwargs).state_dict(), meta=dict(
        hpvit_mm='0', backbone=kwargs)), tmp_path / 'own.pth')
    export(str(tmp_path / 'own.pth'), str(tmp_path / 'back.pth'), to)
    names = next(iter(torch.load(tmp_path / 'back.pth').values()))
    assert any(name.endswith('attn.qkv.bias') for name in names)
    assert not any(name.endswith('q_bias') for name in names)


def test_to_mae_all_prefix_tokens_have_rows(tmp_path):
    """timm's no_embed_class omits the row of cls; MAE has no such option."""
    tensors = tensors_of(with_cls_token=True)
    del tensors['prefix_pos_embed']
    path, own, back = (str(tmp_path / name) for name in (
        'plain.pth', 'own.pth', 'back.pth'))
    torch.save(tensors, path)
    convert(path, own, arch=SIZES, with_cls_token=True, stage_depths=(2, ))
    export(own, back, 'mae')
    rows = torch.load(back)['model']['pos_embed']
    assert rows.shape[1] == 1 + tensors['pos_embed'].shape[1]
