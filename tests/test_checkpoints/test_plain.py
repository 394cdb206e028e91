"""Finding the encoder in a file, and refusing what is none."""
import re

import pytest
import torch

from hpvit_mm.checkpoints import load_pretrained
from hpvit_mm.checkpoints.plain import read_plain
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

ARCH = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64)


def backbone(**kwargs) -> HPViT:
    return HPViT(**dict(dict(arch=ARCH, stage_depths=(2, ), patch_stride=16,
                             img_size=64), **kwargs))


def encoder(rows=1):
    """The encoder of a plain ViT by MAE's names."""
    tensors = {name.replace('norms.0', 'norm'): torch.randn_like(tensor)
               for name, tensor in backbone().state_dict().items()}
    tensors['cls_token'] = torch.randn(1, 1, 32)
    tensors['pos_embed'] = torch.randn(1, 16 + rows, 32)
    return tensors


def plain(tensors, **kwargs):
    return read_plain(tensors, 'x.pth', **kwargs)


# ----------------------------------------------------------------- wrappers


def prefixed(tensors, prefix):
    return {prefix + name: tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize('wrap', [
    lambda t: {'teacher': prefixed(t, 'module.backbone.'),
               'student': prefixed(encoder(), 'module.backbone.')},
    lambda t: {'state_dict': encoder(), 'state_dict_ema': t},
    lambda t: {'model': encoder(), 'model_ema': prefixed(t, 'module.')},
    lambda t: {'model': {'state_dict': t}, 'optimizer': {'state': {}}},
    lambda t: {'model': prefixed(t, '_orig_mod.')},
    lambda t: {'model': prefixed(t, '_fsdp_wrapped_module.')},
    lambda t: {n.replace('blocks.1.', 'blocks.1._fsdp_wrapped_module.'
                         '_checkpoint_wrapped_module.'): x
               for n, x in t.items()},
    lambda t: {'state_dict': {**prefixed(t, 'backbone.'),
                              **prefixed(encoder(), 'momentum_encoder.')}},
])
def test_wrappers(wrap):
    tensors = encoder()
    found = plain(wrap(tensors)).tensors
    assert torch.equal(found['blocks.1.mlp.fc2.weight'],
                       tensors['blocks.1.mlp.fc2.weight'])
    assert set(found) == {*tensors, 'prefix_pos_embed'}


def test_of_two_encoders_the_user_chooses():
    one, other = encoder(), encoder()
    both = {**prefixed(one, 'online.'), **prefixed(other, 'target.')}
    with pytest.raises(UserError, match='2 encoders.*online.*prefix'):
        plain(both)
    found = plain(both, prefix='target.')
    assert torch.equal(found.tensors['norm.bias'], other['norm.bias'])
    assert found.ignored['online.norm.bias'] == 'not in the encoder'
    with pytest.raises(UserError, match="behind the prefix 'net.'"):
        plain(both, prefix='net.')


# ---------------------------------------------------------------- positions


@pytest.mark.parametrize('rows, extra, found', [
    (1, {}, 1), (0, {}, 0),
    (2, {'dist_token': 1}, 2), (0, {'dist_token': 1}, 0),
    (1, {'register_tokens': 4}, 1), (0, {'reg_token': 4}, 0),
    (5, {'reg_token': 4}, 5)])
def test_rows_of_prefix_tokens(rows, extra, found):
    tensors = encoder(rows)
    tensors.update({name: torch.randn(1, count, 32)
                    for name, count in extra.items()})
    result = plain(tensors)
    assert result.grid == (4, 4)
    assert result.position_rows == found
    assert torch.equal(result.tensors['pos_embed'],
                       tensors['pos_embed'][:, rows:])
    if rows:
        prefix = result.tensors['prefix_pos_embed']
        assert prefix.shape[1] == 1 + sum(extra.values())
        assert torch.equal(prefix[:, :rows], tensors['pos_embed'][:, :rows])
        assert (prefix[:, rows:] == 0).all()


def test_the_row_of_a_cls_token_that_was_dropped():
    tensors = encoder(1)
    del tensors['cls_token']  # as ViTDet does
    result = plain(tensors)
    assert torch.equal(result.tensors['pos_embed'],
                       tensors['pos_embed'][:, 1:])
    assert 'prefix_pos_embed' not in result.tensors


def test_a_grid_that_is_not_square(tmp_path):
    tensors = encoder()
    tensors['pos_embed'] = torch.randn(1, 1 + 3 * 6, 32)
    with pytest.raises(UserError, match='19 rows.*img_size'):
        plain(tensors)
    torch.save(tensors, tmp_path / 'x.pth')
    model = backbone(img_size=(48, 96))
    report = load_pretrained(model, tmp_path / 'x.pth')
    assert torch.equal(model.pos_embed, tensors['pos_embed'][:, 1:])
    assert not report.resampled


def test_a_position_embedding_that_is_a_map():
    tensors = encoder(0)
    expected = torch.randn(1, 15, 32)
    tensors['pos_embed'] = expected.reshape(1, 3, 5, 32)
    result = plain(tensors)
    assert result.grid == (3, 5)
    assert torch.equal(result.tensors['pos_embed'], expected)


@pytest.mark.parametrize('name, shape, says', [
    ('patch_embed.proj.weight', (32, 3, 2, 16, 16), 'not a ViT of images'),
    ('pos_embed', (17, ), 'damaged')])
def test_shapes_that_cannot_be(name, shape, says):
    with pytest.raises(UserError, match=says):
        plain(dict(encoder(), **{name: torch.ones(shape)}))


def test_no_positions_at_all(tmp_path):
    """As rotary ViTs are saved by timm, whose rotation has no tensors."""
    tensors = encoder()
    del tensors['pos_embed']
    torch.save(tensors, tmp_path / 'x.pth')
    model = backbone()
    with pytest.raises(UserError, match='neither .* rotary .*drop='):
        load_pretrained(model, tmp_path / 'x.pth')
    report = load_pretrained(model, tmp_path / 'x.pth',
                             drop=['rotary_position'])
    assert (model.pos_embed == 0).all()
    assert report.new == {'pos_embed': 'zeros, the file has no positions'}


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_values_that_are_not_finite(value, tmp_path):
    tensors = encoder()
    tensors['blocks.1.mlp.fc2.bias'][3] = value
    torch.save(tensors, tmp_path / 'x.pth')
    model = backbone()
    before = model.blocks[0].attn.qkv.weight.clone()
    with pytest.raises(UserError, match='x.pth.*blocks.1.mlp.fc2.bias'):
        load_pretrained(model, tmp_path / 'x.pth')
    assert torch.equal(model.blocks[0].attn.qkv.weight, before)


def test_the_entries_of_an_unknown_file_are_named():
    with pytest.raises(UserError, match='no tensors .*generator, critic'):
        plain(dict(generator=encoder(), critic=encoder()))


@pytest.mark.parametrize('architecture, says', [
    ('vit_base_patch32_clip_quickgelu_224', 'act=quick_gelu'),
    ('vit_so400m_patch16_siglip_gap_256', 'act=gelu_tanh'),
    ('vit_base_patch16_rpn_224', 'post_norm=True'),
    ('eva02_enormous_patch14_clip_224', 'post_norm=True'),
    ('vit_base_patch16_rope_ape_224', 'rotary positions'),
    ('vit_base_patch16_rope_mixed_ape_224', 'rotary positions'),
    ('vit_pe_spatial_base_patch16_512', 'rotary positions')])
def test_architectures_that_the_tensors_do_not_tell(architecture, says):
    from hpvit_mm.checkpoints import fit
    with pytest.raises(UserError, match=says):
        fit(backbone(), plain(dict(state_dict=encoder(), config=dict(
            architecture=architecture))))
    with pytest.raises(UserError, match=says):  # a training of timm
        fit(backbone(), plain(dict(state_dict=encoder(), arch=architecture)))


@pytest.mark.parametrize('extra, says', [
    ({'norm_pre.weight': 32, 'norm_pre.bias': 32},
     'looks like CLIP.*activation'),
    ({'norm_pre.weight': 32, 'norm_pre.bias': 32, 'attn_pool.latent': 32},
     'like PE'),
    ({'cls_token': None, 'attn_pool.latent': 32},
     'looks like SigLIP.*activation')])
def test_what_looks_like_another_family_is_asked_for(extra, says):
    """QuickGELU, tanh-GELU and rotary positions leave no tensors."""
    from hpvit_mm.checkpoints import fit
    tensors = dict(encoder(), **{n: torch.ones(size) for n, size
                                 in extra.items() if size})
    if 'cls_token' in extra:
        del tensors['cls_token']
        tensors['pos_embed'] = tensors['pos_embed'][:, 1:]
    options = dict(pre_norm='norm_pre.weight' in extra)
    with pytest.raises(UserError, match=says):
        fit(backbone(**options), plain(tensors))
    fit(backbone(arch=dict(ARCH, act='gelu_tanh'), **options), plain(tensors))


@pytest.mark.parametrize('architecture, says', [
    ('vit_base_patch16_siglip_gap_224.v2_webli', 'looks like SigLIP'),
    ('vit_base_patch16_clip_224.openai', 'looks like CLIP')])
def test_weights_that_were_trained_with_another_activation(architecture,
                                                           says):
    """timm's name tells the family, and timm computes GELU."""
    from hpvit_mm.checkpoints import fit
    tensors, options = encoder(), {}
    if 'clip' in architecture:
        options = dict(pre_norm=True)
        tensors.update({'norm_pre.weight': torch.ones(32),
                        'norm_pre.bias': torch.ones(32)})
    file = plain(dict(state_dict=tensors, config=dict(
        architecture=architecture)))
    with pytest.raises(UserError, match=says):
        fit(backbone(**options), file)
    fit(backbone(arch=dict(ARCH, act='quick_gelu'), **options), file)


@pytest.mark.parametrize('architecture', [
    'vit_so400m_patch14_siglip_gap_378.webli_ft_in1k',
    'vit_base_patch16_clip_224.openai_ft_in12k_in1k'])
def test_weights_that_timm_fine_tuned(architecture):
    file = plain(dict(state_dict=encoder(), config=dict(
        architecture=architecture)))
    assert file.told['act'] == 'gelu'


def test_a_file_of_clip_has_no_rotary_positions():
    """Though PE has the same names."""
    from hpvit_mm.checkpoints import fit
    renames = (('^blocks', 'transformer.resblocks'), ('norm([12])', r'ln_\1'),
               ('attn.proj', 'attn.out_proj'), ('attn.qkv.', 'attn.in_proj_'),
               ('mlp.fc1', 'mlp.c_fc'), ('mlp.fc2', 'mlp.c_proj'),
               ('^norm', 'ln_post'), ('^patch_embed.proj', 'conv1'),
               ('^cls_token', 'class_embedding'),
               ('^pos_embed', 'positional_embedding'))
    tensors = {'ln_pre.weight': torch.ones(32), 'ln_pre.bias': torch.ones(32)}
    for name, tensor in encoder().items():
        for pattern, new in renames:
            name = re.sub(pattern, new, name)
        tensors[name] = tensor
    file = plain(tensors)
    assert file.family == 'CLIP' and 'act' not in file.told
    arch = dict(ARCH, act='gelu', rotary=dict(coords='index', base=10000.))
    with pytest.raises(UserError, match='no rotary positions'):
        fit(backbone(arch=arch, pre_norm=True), file)


# ------------------------------------------- parts that HPViT does not have


@pytest.mark.parametrize('name, says', [
    ('blocks.0.mlp.fc1_g.weight', 'blocks.0.mlp.gate.weight'),
    ('blocks.0.adapter.weight', 'blocks.0.adapter.weight'),
    ('blocks.0.attn.relative_position_bias_table', 'drop='),
    ('blocks.0.attn.rel_pos_h', 'drop='),
    ('rel_pos_bias.relative_position_bias_table', 'drop='),
])
def test_parts_that_matter_are_named(name, says):
    tensors = dict(encoder(), **{name: torch.ones(3)})
    with pytest.raises(UserError, match=says):
        plain(tensors)


@pytest.mark.parametrize('name, size, says', [
    ('blocks.0.attn.norm.weight', 32, 'attn_norm=True'),
    ('blocks.0.attn.q_norm.weight', 16, 'qk_norm=True'),
    ('blocks.0.mlp.norm.weight', 32, 'mlp_norm=True'),
    ('patch_embed.norm.weight', 32, 'patch_norm=True'),
    ('rope.freqs', (2, 2, 2, 8), 'rotary positions'),
    ('rope.freqs_cos', (4, 16), 'rotary positions'),
    ('rope_embed.periods', 4, 'rotary')])
def test_parts_that_only_some_families_have(name, size, says):
    from hpvit_mm.checkpoints import fit
    with pytest.raises(UserError, match=says):
        fit(backbone(), plain(dict(encoder(), **{name: torch.ones(size)})))


def test_relative_positions_go_if_the_user_allows_it(tmp_path):
    tensors = encoder()
    name = 'blocks.1.attn.relative_position_bias_table'
    torch.save(dict(tensors, **{name: torch.ones(3)}), tmp_path / 'x.pth')
    report = load_pretrained(backbone(), tmp_path / 'x.pth',
                             drop=['relative_position'])
    assert name in report.ignored
    assert 'dropped as you allowed' in str(report)
    with pytest.raises(UserError, match="'all'.*relative_position"):
        load_pretrained(backbone(), tmp_path / 'x.pth', drop=['all'])


# ------------------------------------------------- no fit for the backbone


@pytest.mark.parametrize('change, kwargs, says', [
    ({}, dict(arch=dict(ARCH, num_layers=3), stage_depths=(3, )),
     'ViT of 2 blocks of width 32.*3 blocks of width 32'),
    ({'blocks.0.ls1.gamma': 32}, {}, 'layer_scale_init_value=1e-5'),
    ({}, dict(layer_scale_init_value=1.), 'layer_scale_init_value=0'),
    ({}, dict(pre_norm=True), 'pre_norm=False'),
    ({'norm_pre.weight': 32}, {}, 'looks like CLIP'),
    ({}, dict(qkv_bias=False), 'qkv_bias=True'),
    ({}, dict(num_registers=2), 'no reg_token'),
    ({'cls_token': None}, dict(with_cls_token=True), 'no cls_token'),
    ({}, dict(arch=dict(ARCH, feedforward_channels=128)),
     'feedforward_channels=64'),
])
def test_the_remedy_is_named(tmp_path, change, kwargs, says):
    tensors = encoder()
    for name, size in change.items():
        if size is None:
            del tensors[name]
        else:
            tensors[name] = torch.ones(size)
    torch.save(tensors, tmp_path / 'x.pth')
    model = backbone(**kwargs)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(UserError, match=says):
        load_pretrained(model, tmp_path / 'x.pth')
    assert all(torch.equal(v, before[k])
               for k, v in model.state_dict().items())


def test_biases_that_change_nothing_are_filled_in(tmp_path):
    tensors = encoder()
    for name in [n for n in tensors
                 if n.endswith(('qkv.bias', 'patch_embed.proj.bias'))]:
        del tensors[name]
    torch.save(tensors, tmp_path / 'x.pth')
    model = backbone()
    torch.nn.init.ones_(model.patch_embed.proj.bias)
    report = load_pretrained(model, tmp_path / 'x.pth')
    assert (model.patch_embed.proj.bias == 0).all()
    assert set(report.new.values()) == {'zeros, the file has no such bias'}


def test_what_a_config_tells_beside_the_tensors(tmp_path):
    from hpvit_mm.checkpoints import fit
    content = dict(state_dict=encoder(), config=dict(layer_norm_eps=1e-12))
    _, report = fit(backbone(), plain(content))
    assert 'eps=1e-12' in str(report)
    content['config'] = dict(num_attention_heads=4)
    with pytest.raises(UserError, match='4 attention heads.*has 2'):
        fit(backbone(), plain(content))
    content['config'] = dict(hidden_act='quick_gelu')
    with pytest.raises(UserError, match='quick_gelu'):
        fit(backbone(), plain(content))


@pytest.mark.parametrize('content', [
    {}, {'state_dict': {}}, {'conv1.weight': torch.ones(64, 3, 7, 7)},
    {'patch_embed.proj.weight': torch.ones(96, 3, 4, 4),
     'layers.0.blocks.0.norm1.weight': torch.ones(96)}])
def test_what_is_no_plain_vit(content):
    with pytest.raises(UserError, match='of no family that can be loaded'):
        plain(content)


@pytest.mark.parametrize('config, says', [
    (dict(model_type='owlvit_vision_model'), 'type owlvit_vision_model'),
    (dict(model_type='vitpose_backbone'), 'may compute something else'),
    (dict(use_gated_mlp=True, hidden_act='gelu'), 'gated MLP.*gelu'),
    (dict(model_type='aimv2_vision_model', hidden_act='gelu'), 'gated MLP'),
])
def test_models_of_transformers_that_compute_something_else(config, says):
    with pytest.raises(UserError, match=says):
        plain(dict(state_dict=encoder(), config=config))


@pytest.mark.parametrize('config, act', [
    (dict(vision_config=dict(model_type='siglip_vision_model')), 'gelu_tanh'),
    (dict(model_type='siglip', vision_config={}), 'gelu_tanh'),
    (dict(model_type='clip_vision_model'), 'quick_gelu'),
    (dict(model_type='clip_vision_model', hidden_act='gelu'), 'gelu')])
def test_the_activation_that_a_class_assumes(config, act):
    found = plain(dict(state_dict=encoder(), config=config))
    assert found.told['act'] == act


def test_registers_that_a_network_with_cls_token_would_lose(tmp_path):
    torch.save(dict(encoder(), reg_token=torch.randn(1, 4, 32)),
               tmp_path / 'x.pth')
    with pytest.raises(UserError, match='4 registers.*set num_registers=4'):
        load_pretrained(backbone(with_cls_token=True), tmp_path / 'x.pth')
    load_pretrained(backbone(), tmp_path / 'x.pth')


def test_a_file_with_another_grid_says_how_to_keep_it(tmp_path):
    torch.save(encoder(), tmp_path / 'x.pth')
    report = load_pretrained(backbone(img_size=32), tmp_path / 'x.pth')
    assert 'set img_size=(64, 64)' in str(report)
    assert 'img_size' not in str(load_pretrained(backbone(),
                                                 tmp_path / 'x.pth'))


@pytest.mark.parametrize('kind', ['depth_anything', 'timm_wrapper', None])
def test_other_models_of_transformers_load(kind):
    plain(dict(state_dict=encoder(), config=dict(model_type=kind)))


@pytest.mark.parametrize('absent', 'qv')
def test_an_absent_bias_is_zero(absent):
    tensors = encoder()
    for i in range(2):
        name = f'blocks.{i}.attn.'
        bias = torch.randn(3, 32)
        del tensors[f'{name}qkv.bias']
        tensors.update({f'{name}{part}_bias': one
                        for part, one in zip('qkv', bias)
                        if part not in ('k', absent)})
    found = plain(tensors).tensors['blocks.1.attn.qkv.bias'].view(3, 32)
    assert [part for part, one in zip('qkv', found) if one.any()] == [
        part for part in 'qv' if part != absent]
