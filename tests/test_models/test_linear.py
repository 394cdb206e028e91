"""Linear layers by oneDNN: where it is preferred, and only there."""
import copy
import io

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode

from hpvit_mm.models import HPViT
from hpvit_mm.models.layers import Linear, linear

MINI = dict(
    embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64)


@pytest.fixture
def asked(monkeypatch):
    """What oneDNN was asked for, on a machine where it is preferred."""
    calls = []

    def call(x, weight, *args):
        calls.append(tuple(x.shape))
        return op(x, weight, *args)

    op = linear.onednn_linear
    monkeypatch.setattr(linear, 'onednn_linear', call)
    monkeypatch.setattr(linear, 'prefers_onednn', lambda: True)
    monkeypatch.setattr(linear, 'LEAST_MACS', 0)
    return calls


def relative(one, other):
    return ((one - other).norm() / other.norm()).item()


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('shape', [(8, ), (5, 8), (2, 3, 8), (2, 0, 3, 8)])
def test_equal(bias, shape, asked):
    torch.manual_seed(0)
    layer, theirs = Linear(8, 4, bias=bias), nn.Linear(8, 4, bias=bias)
    theirs.load_state_dict(layer.state_dict())
    x = torch.randn(shape)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), theirs(x))
        # not contiguous, and of a weight that is not
        double = x.repeat_interleave(2, dim=-1)
        torch.testing.assert_close(
            linear.linear(double[..., ::2], theirs.weight.t().contiguous().t(),
                          theirs.bias), theirs(x))
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), theirs(x))
    assert len(asked) == 3


@pytest.mark.parametrize('bias', [
    torch.arange(8.)[::2], torch.tensor(3.).expand(4), torch.arange(4.).flip(0)
], ids=['gaps', 'expanded', 'turned'])
def test_a_bias_with_gaps(bias, asked):
    """oneDNN does not ask for its strides."""
    x, weight = torch.randn(5, 8), torch.zeros(4, 8)
    assert torch.equal(linear.linear(x, weight, bias), bias.expand(5, 4))
    with torch.no_grad():
        assert torch.equal(linear.linear(x, weight, bias), bias.expand(5, 4))
    assert len(asked) == 2


def test_rows_that_overlap(asked):
    """As patches do that are one cell apart, where an axis is one cell."""
    x = torch.randn(40).as_strided((6, 8), (1, 4)).requires_grad_()
    weight = torch.randn(40).as_strided((4, 8), (1, 2))
    ours, theirs = (one(x, weight) for one in (
        linear.linear, nn.functional.linear))
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(
        torch.autograd.grad(one.square().sum(), x)[0]
        for one in (ours, theirs)))
    assert len(asked) == 2


@pytest.mark.parametrize('size', [(116, 4), (4, 116), (3, 30)])
def test_a_network_of_narrow_images(size, asked, monkeypatch):
    torch.manual_seed(0)
    model = HPViT(MINI, stage_depths=(1, 1, 1, 1), img_size=64,
                  attention='global', out_type='avg_featmap')
    x = torch.randn(1, 3, *size)
    found = []
    for preferred in (True, False):
        monkeypatch.setattr(linear, 'prefers_onednn', lambda: preferred)
        model.zero_grad()
        model(x)[0].square().sum().backward()
        found.append([one.grad.clone() for one in model.parameters()])
    assert asked
    for one, other in zip(*found):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('pooling', ['avg', 'conv'])
@pytest.mark.parametrize('size', [(64, 96), (50, 71)])
def test_a_network(pooling, size, asked, monkeypatch):
    torch.manual_seed(0)
    model = HPViT(MINI, stage_depths=(1, 1, 1, 1), img_size=64,
                  pooling=pooling, with_cls_token=True).eval()
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        ours = model(x)
        done = len(asked)
        monkeypatch.setattr(linear, 'prefers_onednn', lambda: False)
        theirs = model(x)
    padded = size[0] % 4 > 0  # then the embedding is a convolution
    assert len(asked) == done == \
        4 * 4 + (3 if pooling == 'conv' else 0) + (not padded)
    for one, other in zip(ours, theirs):
        assert relative(one, other) < 1e-6


@pytest.mark.parametrize('shape', [(8, ), (5, 8), (2, 3, 8)])
@pytest.mark.parametrize('trained', [
    ('x', 'weight', 'bias'), ('x', ), ('weight', ), ('bias', )], ids=str)
def test_gradients(shape, trained, asked):
    torch.manual_seed(0)
    given = dict(x=torch.randn(shape), weight=torch.randn(4, 8),
                 bias=torch.randn(4))
    for name in trained:
        given[name].requires_grad_()
    ours = linear.linear(**given)
    theirs = nn.functional.linear(
        given['x'], given['weight'], given['bias'])
    wanted = [given[name] for name in trained]
    # weights, not ones: the gradients of a sum are tensors without memory
    for factor in (torch.randn_like(ours), torch.ones(()).expand_as(ours)):
        for one, other in zip(
                torch.autograd.grad(ours, wanted, factor, retain_graph=True),
                torch.autograd.grad(theirs, wanted, factor,
                                    retain_graph=True)):
            torch.testing.assert_close(one, other)
    # that of the bias is no product
    assert len(asked) == 1 + 2 * len(set(trained) - {'bias'})


@pytest.mark.parametrize('trained, kept', [
    (('x', 'weight'), {24, 32}), (('x', ), {32}), (('weight', ), {24}),
    (('bias', ), set())], ids=str)
def test_what_is_kept(trained, kept, asked):
    """What the gradients need, as torch's own layer does."""
    given = dict(x=torch.randn(3, 8), weight=torch.randn(4, 8),
                 bias=torch.randn(4))
    for name in trained:
        given[name].requires_grad_()
    for layer in (linear.linear, nn.functional.linear):
        seen = set()
        with torch.autograd.graph.saved_tensors_hooks(
                lambda one: seen.add(one.numel()), lambda one: one):
            layer(given['x'], given['weight'], given['bias'])
        assert seen == kept


def test_gradients_of_gradients(asked):
    """And what torch.func makes of them, are left to torch."""
    torch.manual_seed(0)
    x = torch.randn(3, 8, requires_grad=True)
    weight = torch.randn(4, 8, requires_grad=True)

    def penalties(layer):
        of_x, = torch.autograd.grad(
            layer(x, weight).square().sum(), x, create_graph=True)
        return torch.autograd.grad(of_x.square().sum(), (x, weight))

    def of_samples(layer):
        return torch.func.vmap(torch.func.grad(
            lambda weight, x: layer(x, weight).square().sum()), (None, 0))(
                weight.detach(), x.detach())

    for one, other in zip(penalties(linear.linear),
                          penalties(nn.functional.linear)):
        torch.testing.assert_close(one, other)
    before = len(asked)
    torch.testing.assert_close(of_samples(linear.linear),
                               of_samples(nn.functional.linear))
    assert len(asked) == before > 0


@pytest.mark.parametrize('options', [
    dict(), dict(with_cp=True), dict(frozen_stages=2)], ids=str)
def test_gradients_of_a_network(options, asked, monkeypatch):
    torch.manual_seed(0)
    model = HPViT(MINI, stage_depths=(1, 1, 1, 1), img_size=64, **options)
    x = torch.randn(2, 3, 64, 96)
    trained = [one for one in model.parameters() if one.requires_grad]

    def gradients():
        torch.manual_seed(1)
        return torch.autograd.grad(sum(
            (out * torch.randn_like(out)).sum() for out in model(x)), trained)

    ours = gradients()
    assert asked
    monkeypatch.setattr(linear, 'prefers_onednn', lambda: False)
    for one, other in zip(ours, gradients()):
        assert relative(one, other) < 5e-6


class Quantised(torch.Tensor):
    """Stands for tensors with a linear layer of their own."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return 'its own' if func is nn.functional.linear else \
            super().__torch_function__(func, types, args, kwargs or {})


def test_other_tensors(asked):
    layer, x = Linear(8, 4), torch.randn(3, 8)
    with torch.no_grad():
        assert copy.deepcopy(layer).double()(x.double()).dtype \
            == torch.float64
        with torch.autocast('cpu', torch.bfloat16):
            assert layer(x).dtype == torch.bfloat16
        assert layer.to('meta')(x.to('meta')).shape == (3, 4)
        assert linear.linear(x, torch.randn(4, 8).as_subclass(
            Quantised)) == 'its own'
    assert not asked


@pytest.mark.filterwarnings('ignore:.torch.jit:DeprecationWarning')
def test_what_leaves_the_process(asked):
    """Traces and exported programs know no library of one processor."""
    layer, x = Linear(8, 4).eval(), torch.randn(3, 8)
    with torch.no_grad():
        traced = torch.jit.trace(layer, x, check_trace=False)
        exported = torch.export.export(layer, (x, ))
        compiled = torch.compile(layer, backend='eager', fullgraph=True)
        torch.testing.assert_close(compiled(x), traced(x))
        torch.testing.assert_close(exported.module()(x), traced(x))
    torch.jit.save(traced, io.BytesIO())
    assert 'linear_pointwise' not in str(traced.inlined_graph)
    assert 'linear_pointwise' not in str(exported.graph)
    assert not asked
    torch._dynamo.reset()


@pytest.mark.filterwarnings('ignore:Sparse CSR:UserWarning')
def test_ways_of_their_own(asked):
    """Tangents and sparse weights."""
    layer, x = Linear(8, 4), torch.randn(3, 8)
    with forward_ad.dual_level():
        dual = layer(forward_ad.make_dual(x, torch.ones_like(x)))
        torch.testing.assert_close(forward_ad.unpack_dual(dual).tangent,
                                   layer.weight.sum(1).expand(3, 4))
    with torch.no_grad():
        sparse = layer.weight.detach().to_sparse_csr()
        torch.testing.assert_close(
            linear.linear(x, sparse, layer.bias), layer(x))
    assert len(asked) == 1


def test_small_products(asked, monkeypatch):
    """They are over before oneDNN has begun."""
    monkeypatch.setattr(linear, 'LEAST_MACS', 6 * 8 * 4)
    layer = Linear(8, 4)
    for shape in ((5, 8), (2, 3, 8), (0, 8), (7, 8)):
        layer(torch.randn(shape))
    assert asked == [(2, 3, 8), (7, 8)]


def test_work_is_counted(asked):
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        Linear(8, 4)(torch.randn(2, 3, 8))
    assert counted.get_total_flops() == 2 * 2 * 3 * 8 * 4


@pytest.mark.parametrize('text, capability, expected', [
    ('vendor_id : AuthenticAMD', 'AVX512', True),
    ('vendor_id : AuthenticAMD', 'AVX2', False),
    ('vendor_id : GenuineIntel', 'AVX512', False),
    (None, 'AVX512', False)])
def test_where_it_is_preferred(text, capability, expected, monkeypatch):

    def read(name):
        assert name == '/proc/cpuinfo'
        if text is None:
            raise FileNotFoundError(name)
        return io.StringIO(text)

    monkeypatch.setattr('builtins.open', read)
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability',
                        lambda: capability)
    assert linear.prefers_onednn.__wrapped__() is expected
