"""Colours of features, and attention from a point."""
import pytest
import torch

from hpvit_mm.analysis.features import attention_from, pca_colours
from hpvit_mm.models import HPViT

ARCH = dict(embed_dims=24, num_layers=4, num_heads=2, feedforward_channels=48)


def test_colours_of_one_map_do_not_depend_on_its_size():
    torch.manual_seed(0)
    one = torch.randn(24, 6, 8)
    large = one.repeat_interleave(2, 1).repeat_interleave(2, 2)
    small_colours, large_colours = pca_colours([one, large])
    assert small_colours.shape == (6, 8, 3)
    assert 0 <= small_colours.min() and small_colours.max() <= 1
    torch.testing.assert_close(large_colours[::2, ::2], small_colours,
                               rtol=0, atol=0.1)
    # a mean and a sign mean nothing
    again, _ = pca_colours([one + 5, large])
    torch.testing.assert_close(again, small_colours)


@pytest.mark.parametrize('options', [
    {}, dict(num_registers=2, with_cls_token=True),
    dict(attention='window', window_size=5)])
def test_weights_are_those_of_the_group_of_the_query(options):
    torch.manual_seed(0)
    backbone = HPViT(ARCH, stage_depths=(1, 1, 1, 1), img_size=64,
                     window_size=options.pop('window_size', 14),
                     **options).eval()
    found = attention_from(backbone, torch.randn(1, 3, 64, 96), (30, 50))
    assert len(found) == 4
    for number, (kind, weights) in found.items():
        stride = 4 << number
        assert weights.shape == (64 // stride, 96 // stride)
        at = weights[30 // stride, 50 // stride]
        assert not at.isnan()
        total = weights.nansum()
        assert total <= 1.001 and (backbone.num_prefix or total > 0.999)
        seen = (~weights.isnan()).nonzero()
        if kind == 'dilated':
            step = 16 // stride
            assert ((seen - torch.tensor([30 // stride, 50 // stride]))
                    % step == 0).all()
            assert len(seen) == 4 * 6
        elif kind == 'global':
            assert len(seen) == weights.numel()
        else:
            assert len(seen) <= 25


def test_weights_are_those_of_the_attention():
    """Outputs from the weights and the values are those of the block."""
    torch.manual_seed(0)
    backbone = HPViT(ARCH, patch_stride=16, stage_depths=(4, ), img_size=64,
                     out_blocks=(0, )).eval()
    caught = {}
    attention = backbone.blocks[0].attn
    attention.qkv.register_forward_hook(
        lambda module, inputs, out: caught.update(qkv=out))
    _, weights = attention_from(
        backbone, torch.randn(1, 3, 64, 64), (0, 63))[0]
    # (1, 1, 16, 3 * 24) -> (16, 3, 2, 12) -> q, k of (2, 16, 12)
    q, k, _ = caught['qkv'].reshape(16, 3, 2, 12).permute(1, 2, 0, 3)
    expected = (q @ k.mT / 12**0.5).softmax(-1).mean(0)[3]
    torch.testing.assert_close(weights.flatten(), expected)
