"""What is promised of any backbone, on one that is not HPViT."""
import logging
from types import SimpleNamespace

import pytest
import torch
from toy_backbone import ToyBackbone
from torch import nn

from hpvit_mm.analysis.count import count_step
from hpvit_mm.engine import CompileHook, LayerDecayOptimWrapperConstructor
from hpvit_mm.errors import UserError


class Model(nn.Module):

    def __init__(self, **kwargs):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = ToyBackbone(**kwargs)
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, x):
        return self.head(self.backbone(x)[0])


def optimizer(model):
    return LayerDecayOptimWrapperConstructor(
        dict(type='OptimWrapper',
             optimizer=dict(type='AdamW', lr=1., weight_decay=0.1)),
        dict(layer_decay_rate=0.5))(model)


def test_layer_decay():
    model = Model()
    names = {id(p): name for name, p in model.named_parameters()}
    found = {names[id(p)]: (group['lr'], group['weight_decay'])
             for group in optimizer(model).optimizer.param_groups
             for p in group['params']}
    rates = {'embed.0.weight': 2**-4, 'scale': 2**-4,
             'layers.0.0.weight': 2**-3, 'merge.weight': 2**-3,
             'layers.1.0.weight': 2**-2, 'layers.2.0.weight': 2**-1,
             'out_norm.weight': 1.}
    assert {name: found[f'backbone.{name}'][0] for name in rates} == rates
    assert found['head.weight'] == (1., 0.1)
    assert found['backbone.scale'][1] == 0
    assert set(found) == set(names.values())


@pytest.mark.parametrize('frozen_stages, frozen', [
    (-1, ()), (0, ('embed', 'scale')),
    (1, ('embed', 'scale', 'layers.0')),
    (2, ('embed', 'scale', 'layers', 'merge', 'out_norm'))])
def test_a_step_moves_what_is_not_frozen(frozen_stages, frozen):
    model = Model(frozen_stages=frozen_stages).train()
    before = {n: t.clone() for n, t in model.backbone.state_dict().items()}
    wrapper = optimizer(model)
    wrapper.update_params(model(torch.randn(2, 3, 16, 24)).square().mean())
    for name, tensor in model.backbone.state_dict().items():
        same = name.startswith(tuple(f'{one}.' for one in frozen)) \
            or name in frozen
        assert torch.equal(tensor, before[name]) == same, name


def test_there_are_not_so_many_stages_to_freeze():
    with pytest.raises(UserError, match='frozen_stages must be from -1 to 2'):
        ToyBackbone(frozen_stages=3)


@pytest.mark.parametrize('wrap', [
    lambda state: state,
    lambda state: dict(state_dict={
        **{f'backbone.{name}': one for name, one in state.items()},
        'head.weight': torch.zeros(1)})])
def test_its_own_checkpoint_is_loaded(wrap, tmp_path):
    state = Model().backbone.state_dict()
    torch.save(wrap(state), tmp_path / 'a.pth')
    cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'))
    with torch.device('meta'):
        ToyBackbone(init_cfg=cfg).check_pretrained()
    torch.manual_seed(1)
    backbone = ToyBackbone(init_cfg=cfg)
    backbone.init_weights()
    torch.testing.assert_close(backbone.state_dict(), state, rtol=0, atol=0)


@pytest.mark.parametrize('change, says', [
    (lambda state: state.pop('merge.bias'), r'1 tensors are missing \(merge'),
    (lambda state: state.update({'scale': torch.ones(8)}),
     r'another shape \(scale is \(8,\) and should be \(1, 8, 1, 1\)'),
    (lambda state: state.update({'layers.3.0.bias': torch.ones(8)}),
     r'unknown \(layers.3'),
], ids=['missing', 'misshapen', 'unknown'])
def test_another_checkpoint_is_refused(change, says, tmp_path):
    state = ToyBackbone().state_dict()
    change(state)
    torch.save(state, tmp_path / 'a.pth')
    backbone = ToyBackbone(init_cfg=dict(
        type='Pretrained', checkpoint=str(tmp_path / 'a.pth')))
    before = {name: one.clone() for name, one in backbone.state_dict().items()}
    for check in (backbone.check_pretrained, backbone.init_weights):
        with pytest.raises(UserError, match=says):
            check()
    torch.testing.assert_close(backbone.state_dict(), before, rtol=0, atol=0)


def test_its_blocks_are_compiled():
    model, graphs = Model(), []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph

    x = torch.randn(1, 3, 16, 16)
    expected = model(x)
    CompileHook(backend=backend).before_run(SimpleNamespace(
        model=model, logger=logging.getLogger('test')))
    torch.testing.assert_close(model(x), expected)
    assert 1 <= len(graphs) <= 3
    torch._dynamo.reset()


def test_it_is_costed():
    count = count_step(Model(), (32, 32))
    # two FLOPs for each of 8 x 8 places, 8 x 8 channels and 3 x 3 offsets
    assert count.modules['layers.0'] / 2 == 3 * (8 * 8) * (8 * 8) * (3 * 3)
    assert count.shapes['layers.2'] == (1, 8, 4, 4)


@pytest.mark.parametrize('shape, says', [
    ((3, 16, 16), r'shape \(B, 3, H, W\), but got \(3, 16, 16\)'),
    ((1, 3, 0, 16), r'no pixels, \(1, 3, 0, 16\)'),
    ((1, 4, 16, 16), 'have 4 channels, but the backbone has in_channels=3')])
def test_other_inputs_are_refused(shape, says):
    with pytest.raises(UserError, match=says):
        ToyBackbone()(torch.zeros(shape))


def test_images_that_are_not_normalised():
    with pytest.raises(UserError, match='torch.uint8: normalise them'):
        ToyBackbone()(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))
