"""Properties of the neck of plain backbones."""
import pytest
import torch

from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT, SimpleFeaturePyramid


@pytest.mark.parametrize('size', [(64, 64), (80, 48)])
@pytest.mark.parametrize('num_outs', [None, 5])
def test_levels_of_a_plain_backbone(size, num_outs):
    backbone = HPViT(
        dict(embed_dims=32, num_layers=2, num_heads=2,
             feedforward_channels=64), patch_stride=16, stage_depths=(2, ))
    neck = SimpleFeaturePyramid(32, out_channels=8, num_outs=num_outs)
    outs = neck(backbone(torch.randn(2, 3, *size)))
    strides = (4, 8, 16, 32, 64)[:num_outs or 4]
    assert [tuple(out.shape) for out in outs] == [
        (2, 8, -(-size[0] // s), -(-size[1] // s)) for s in strides
    ]
    # mmcv's RoIAlign reads them as NCHW, whatever they are.
    assert all(out.is_contiguous() for out in outs)


def test_every_parameter_gets_a_gradient():
    neck = SimpleFeaturePyramid(16, out_channels=8, num_outs=5)
    sum((o**2).sum() for o in neck([torch.randn(2, 16, 6, 5)])).backward()
    assert all(p.grad is not None for p in neck.parameters())


def test_levels_are_normalised_over_their_channels():
    neck = SimpleFeaturePyramid(16, out_channels=8)
    for out in neck([torch.randn(2, 16, 6, 5)]):
        torch.testing.assert_close(
            out.mean(dim=1), torch.zeros(out[:, 0].shape), atol=1e-5, rtol=0)
        torch.testing.assert_close(
            out.var(dim=1, unbiased=False), torch.ones(out[:, 0].shape),
            atol=1e-3, rtol=0)


def test_bad_input_is_named():
    with pytest.raises(UserError, match='scale_factors'):
        SimpleFeaturePyramid(16, scale_factors=(3, ))
    with pytest.raises(UserError, match='num_outs'):
        SimpleFeaturePyramid(16, num_outs=2)
    with pytest.raises(UserError, match='one map'):
        SimpleFeaturePyramid(16)([torch.ones(1, 16, 4, 4)] * 4)
