"""The parts of modern MLPs and norms, beside their sources."""
from functools import partial

import pytest
import torch
from torch import nn

from hpvit_mm.models.layers.mlp import ACTIVATIONS, Mlp
from hpvit_mm.models.layers.norm import RMSNorm

WIDTH, HIDDEN = 8, 20
X = torch.linspace(-6, 6, 5 * WIDTH).reshape(5, WIDTH)


@pytest.mark.parametrize('own, theirs', [
    ('gelu', 'gelu'), ('gelu_tanh', 'gelu_pytorch_tanh'),
    ('quick_gelu', 'quick_gelu')])
def test_activations_of_transformers(own, theirs):
    from transformers.activations import ACT2FN
    torch.testing.assert_close(ACTIVATIONS[own](X), ACT2FN[theirs](X))


@torch.no_grad()
def test_packed_gates_are_those_of_dinov2():
    from timm.layers import GluMlp
    mlp = Mlp(WIDTH, HIDDEN, act='swiglu')
    timm = GluMlp(WIDTH, 2 * HIDDEN, act_layer=nn.SiLU, gate_last=False)
    timm.load_state_dict(mlp.state_dict())
    torch.testing.assert_close(mlp(X), timm(X))


@pytest.mark.parametrize('normed', [False, True])
@torch.no_grad()
def test_separate_gates_are_those_of_eva02(normed):
    from timm.layers import SwiGLU
    norm_cfg = dict(type='LN', eps=1e-6) if normed else None
    mlp = Mlp(WIDTH, HIDDEN, act='swiglu', norm_cfg=norm_cfg)
    for one in mlp.parameters():
        nn.init.normal_(one)
    timm = SwiGLU(WIDTH, HIDDEN, norm_layer=partial(
        nn.LayerNorm, eps=1e-6) if normed else None)
    tensors = mlp.state_dict()
    for name in ('weight', 'bias'):
        gate, value = tensors.pop(f'fc1.{name}').chunk(2)
        tensors.update({f'fc1_g.{name}': gate, f'fc1_x.{name}': value})
    timm.load_state_dict(tensors)
    torch.testing.assert_close(mlp(X), timm(X))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_rms_norm_is_that_of_aimv2(dtype):
    from transformers.models.aimv2.modeling_aimv2 import Aimv2RMSNorm
    own, other = RMSNorm(WIDTH, eps=1e-2), Aimv2RMSNorm(WIDTH, eps=1e-2)
    nn.init.normal_(own.weight)
    other.load_state_dict(own.state_dict())
    x = (X / 10).to(dtype)
    torch.testing.assert_close(own.to(dtype)(x), other.to(dtype)(x))
