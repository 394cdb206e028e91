"""Mixed precision in bfloat16, on the CPU."""
import pytest
import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import nn

from hpvit_mm.engine import BFloat16OptimWrapper, bfloat16
from hpvit_mm.models import HPViT

MINI = dict(embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64)


class Model(nn.Module):
    """A classifier in the form of the host libraries."""

    def __init__(self, **kwargs):
        super().__init__()
        self.backbone = HPViT(MINI, stage_depths=(1, 1, 1, 1),
                              out_type='avg_featmap', **kwargs)
        self.head = nn.Linear(32, 4)

    def forward(self, images, labels):
        return nn.functional.cross_entropy(
            self.head(self.backbone(images)[-1]), labels)


@pytest.fixture
def batch():
    torch.manual_seed(0)
    return torch.randn(8, 3, 32, 32), torch.arange(8) % 4


def build(model, type='hpvit_mm.BFloat16OptimWrapper', **kwargs):
    return build_optim_wrapper(model, dict(
        type=type, optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
        constructor='hpvit_mm.LayerDecayOptimWrapperConstructor',
        paramwise_cfg=dict(layer_decay_rate=0.75), **kwargs))


def step(model, wrapper, batch):
    with wrapper.optim_context(model):
        loss = model(*batch)
    wrapper.update_params(loss)
    return loss.item()


def test_only_the_forward_pass_is_in_bfloat16(batch):
    model = Model()
    wrapper = build(model)
    seen = []
    model.backbone.blocks[2].mlp.fc1.register_forward_hook(
        lambda *call: seen.append(call[-1].dtype))
    with wrapper.optim_context(model):
        loss = model(*batch)
    assert seen == [torch.bfloat16]
    wrapper.backward(loss)
    for param in model.parameters():
        assert param.dtype is param.grad.dtype is torch.float32
    model(*batch)
    assert seen[-1] is torch.float32  # as in validation


def test_gradients_are_those_of_float32(batch):
    """Also where activations are computed again, outside of the context."""
    found = []
    for with_cp, kind in ((False, 'OptimWrapper'), (False, None),
                          (True, None)):
        torch.manual_seed(1)
        model = Model(with_cp=with_cp)
        wrapper = build(model, *filter(None, [kind]))
        with wrapper.optim_context(model):
            loss = model(*batch)
        wrapper.backward(loss)
        found.append(torch.cat([
            param.grad.flatten() for param in model.parameters()]))
    exact, low, again = found
    assert torch.equal(low, again)
    assert 0 < (low - exact).norm() / exact.norm() < 0.05


def test_it_learns(batch):
    model = Model()
    wrapper = build(model, clip_grad=dict(max_norm=1.0))
    losses = [step(model, wrapper, batch) for _ in range(30)]
    assert losses[-1] < losses[0] / 2


def test_accumulation_and_clipping(batch):
    model = Model()
    wrapper = build(
        model, accumulative_counts=2, clip_grad=dict(max_norm=1e-3))
    norms = []
    wrapper.optimizer.register_step_pre_hook(
        lambda *_: norms.append(nn.utils.get_total_norm(
            [param.grad for param in model.parameters()])))
    before = model.head.weight.clone()
    step(model, wrapper, batch)
    assert not norms and torch.equal(model.head.weight, before)
    step(model, wrapper, batch)
    assert norms == [pytest.approx(1e-3, rel=1e-3)]
    assert not torch.equal(model.head.weight, before)


def test_state_is_that_of_an_optim_wrapper(batch):
    """A run may be resumed in another precision."""
    model = Model()
    first, second = build(model), build(model, 'OptimWrapper')
    assert isinstance(first, BFloat16OptimWrapper)
    step(model, first, batch)
    state = first.state_dict()
    assert state.keys() == second.state_dict().keys()
    second.load_state_dict(state)
    assert_equal(second, first)
    third = build(model)
    # as of an AmpOptimWrapper, which needs a GPU
    third.load_state_dict(dict(second.state_dict(), loss_scaler=dict(scale=8)))
    assert_equal(third, first)


def assert_equal(one: OptimWrapper, other: OptimWrapper):
    one, other = (w.optimizer.state_dict()['state'] for w in (one, other))
    assert one.keys() == other.keys() and one
    for key in one:
        assert torch.equal(one[key]['exp_avg'], other[key]['exp_avg'])


def test_boxes_are_computed_in_float32(monkeypatch):
    """Of features in bfloat16, and only inside of the context."""
    seen = []

    class Extractor(nn.Module):
        roi_layers = ()

        def forward(self, features, rois):
            seen.extend([features[0].dtype, rois.type_as(features[0]).dtype])

    class Head(nn.Module):

        def predict_by_feat(self):
            pass

        def forward(self, features):
            return [features], None

    model = nn.ModuleList([Extractor(), Head()])
    low, rois = torch.ones(1).bfloat16(), torch.tensor([0, 1001.])
    wrapper = BFloat16OptimWrapper(torch.optim.SGD([torch.ones(1)]))
    walks = []
    find = bfloat16.box_makers
    monkeypatch.setattr(bfloat16, 'box_makers',
                        lambda model: walks.append(model) or find(model))
    for _ in range(3):
        with wrapper.optim_context(model):
            model[0]((low, ), rois)
            (scores, ), nothing = model[1](low)
        assert not model[0]._forward_pre_hooks
        assert not model[1]._forward_hooks
    assert len(walks) == 1 and seen == [torch.float32] * 6
    assert scores.dtype is torch.float32 and nothing is None
    assert model[1](low)[0][0].dtype is torch.bfloat16


def test_ops_of_queries_get_float32():
    """mmcv's deformable attention and focal loss on the GPU know no other."""
    seen = []

    class Deformable(nn.Module):

        def __init__(self):
            super().__init__()
            self.sampling_offsets = nn.Linear(2, 2)
            self.value_proj = nn.Linear(2, 2)

        def forward(self, query):
            seen.append(self.value_proj(query).dtype)
            return self.sampling_offsets(query)

    class Loss(nn.Module):
        loss_weight = 1.

        def forward(self, scores, labels):
            seen.append(scores.dtype)

    model = nn.Sequential(Deformable(), Loss())
    wrapper = BFloat16OptimWrapper(torch.optim.SGD(model.parameters()))
    with wrapper.optim_context(model):
        scores = model[0](torch.ones(1, 2))
        model[1](scores, torch.ones(1))
    assert scores.dtype is torch.bfloat16
    assert seen == [torch.float32] * 2
