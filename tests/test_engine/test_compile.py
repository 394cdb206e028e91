"""Compiled blocks compute what the others do."""
import logging
import random
from types import SimpleNamespace

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from torch import nn

from hpvit_mm.engine import CompileHook
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

MINI = dict(embed_dims=16, num_layers=12, num_heads=2, feedforward_channels=32)


class Model(nn.Module):

    def __init__(self, arch=dict(MINI, num_layers=2),
                 stage_depths=(1, 1), **kwargs):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = HPViT(
            arch, stage_depths=stage_depths, out_type='avg_featmap', **kwargs)

    def forward(self, images):
        return self.backbone(images)[-1]


@pytest.fixture(autouse=True)
def fresh():
    yield
    torch._dynamo.reset()


def compiled(model, **options):
    """The model after the hook; what cannot be compiled is an error."""
    options = dict(dict(backend='eager', fullgraph=True), **options)
    CompileHook(**options).before_run(SimpleNamespace(
        model=model, logger=logging.getLogger('test_compile')))
    return model


@pytest.mark.parametrize('kwargs', [
    dict(with_cp=True, with_cls_token=True, pooling='avg'),
    dict(attention='window', window_size=5)], ids=str)
def test_outputs_and_gradients(kwargs):
    """In one graph for each block, with and without padding."""
    plain, other = Model(**kwargs), Model(**kwargs)
    assert compiled(other).state_dict().keys() == plain.state_dict().keys()
    images = torch.randn(2, 3, 24, 40)
    for model in (plain, other):
        model(images).square().sum().backward()
    for one, two in zip(plain.parameters(), other.parameters()):
        torch.testing.assert_close(two.grad, one.grad)
    with torch.no_grad():
        torch.testing.assert_close(other.eval()(images), plain.eval()(images))


def test_many_sizes_are_few_graphs():
    """Detection has another size for each image, and all are compiled."""
    graphs, calls = [], []

    def backend(graph, inputs):
        graphs.append(graph)

        def call(*args):
            calls.append(graph)
            return graph(*args)
        return call

    model = compiled(Model(pooling='avg'), backend=backend)
    sizes = random.Random(0)
    for _ in range(6):
        model(torch.randn(1, 3, *sizes.choices(range(64, 128), k=2)))
    assert len(graphs) <= 9
    assert len(calls) == 2 * 6


@pytest.mark.parametrize('kwargs, size', [
    (dict(pooling='avg', with_cls_token=True, with_cp=True), (32, 32)),
    (dict(attention='window', window_size=5, drop_path_rate=0.2), (50, 71))],
    ids=str)
def test_the_backbone_is_one_graph(kwargs, size):
    """Nothing in it makes torch go back to Python."""
    plain, other = Model(**kwargs).backbone, Model(**kwargs).backbone
    other.compile(backend='eager', fullgraph=True)
    images = torch.randn(2, 3, *size)
    for mode in (True, False):
        with torch.set_grad_enabled(mode):
            torch.manual_seed(0)
            expected = plain.train(mode)(images)
            torch.manual_seed(0)
            torch.testing.assert_close(other.train(mode)(images), expected)


def test_checkpoints_do_not_tell():
    plain, other = Model(), compiled(Model())
    images = torch.randn(1, 3, 32, 32)
    other(images).sum().backward()
    plain.load_state_dict(other.state_dict())
    other.load_state_dict(plain.state_dict())
    torch.testing.assert_close(other(images), plain(images))


def test_bfloat16():
    plain, other = Model(), compiled(Model())
    images = torch.randn(1, 3, 32, 32)
    with torch.autocast('cpu', torch.bfloat16):
        torch.testing.assert_close(other(images), plain(images))


def test_averaged_weights():
    """EMAHook copies the model, also after it was compiled."""
    model = compiled(Model())
    average = ExponentialMovingAverage(model, momentum=0.5)
    average.update_parameters(model)  # the first one copies
    before = model.backbone.pos_embed.detach().clone()
    model.backbone.pos_embed.data += 1
    average.update_parameters(model)
    torch.testing.assert_close(
        average.module.backbone.pos_embed.detach(), before + 0.5)
    average(torch.randn(1, 3, 32, 32))


def test_inside_of_wrappers():

    class Wrapper(nn.Module):

        def __init__(self, module):
            super().__init__()
            self.module = module

    model = Model()
    model.backbone.blocks[1] = Wrapper(model.backbone.blocks[1])
    compiled(Wrapper(Wrapper(model)))
    for block in model.backbone.blocks:
        block = getattr(block, 'module', block)
        assert block._compiled_call_impl is not None


@pytest.mark.parametrize('model', [
    nn.Linear(1, 1), nn.ModuleDict(dict(backbone=nn.Linear(1, 1)))])
def test_no_blocks(model):
    with pytest.raises(UserError, match='the model has none'):
        compiled(model)


@pytest.mark.slow
def test_inductor():
    """The backend that GPUs use."""
    kwargs = dict(arch=dict(MINI, num_layers=1), stage_depths=(1, ))
    plain, other = Model(**kwargs), Model(**kwargs)
    compiled(other, backend='inductor')
    images = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(other(images), plain(images))
