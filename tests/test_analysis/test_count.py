"""Counts of FLOPs and memory agree with formulas, for any backbone."""
import pytest
import torch
from mmengine.model import BaseModule
from torch import nn

from hpvit_mm.analysis.count import count_step, peak_memory
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT
from hpvit_mm.models.backbones.archs import ARCHS

C, HIDDEN, HEADS = 32, 96, 2
ARCH = dict(embed_dims=C, num_layers=4, num_heads=HEADS,
            feedforward_channels=HIDDEN)
PLAIN = dict(arch=ARCH, patch_stride=16, stage_depths=(4, ))


class Model(nn.Module):
    """A model of nothing but a backbone."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone


def on_meta(**kwargs) -> Model:
    with torch.device('meta'):
        return Model(HPViT(**kwargs))


def block(tokens: int, group: int) -> int:
    """MACs of a block whose groups have so many tokens."""
    return tokens * (4 * C * C + 2 * C * HIDDEN + 2 * group * C)


def test_stages_by_formula():
    """100 pixels are 25 x 25 tokens, in 16 dilated groups of 7 x 7."""
    count = count_step(on_meta(arch=ARCH, stage_depths=(1, 1, 1, 1),
                               pooling='conv'),
                       (100, 100), train=False)
    assert count.shapes['blocks.0'] == (1, 16, 49, C)
    for i, (tokens, group) in enumerate((
            (28**2, 49), (14**2, 49), (7**2, 49), (4**2, 16))):
        assert count.modules[f'blocks.{i}'] / 2 == block(tokens, group)
    assert count.modules['pools.0'] / 2 == 13**2 * 4 * C * C
    assert count.backward == 0


def test_hpvit_b():
    """Added up by hand: 69.1 GMACs, less where fc2 follows the average."""
    count = count_step(on_meta(pooling='avg', out_type='avg_featmap'),
                       (224, 224), train=False)
    assert count.forward['backbone'] / 2e9 == pytest.approx(61.7, abs=0.06)


def test_a_host_s_backbone():
    """mmpretrain's ViT is our plain one, and counted as this is."""
    from mmpretrain.models import VisionTransformer
    arch = dict(ARCH, feedforward_channels=HIDDEN)
    with torch.device('meta'):
        theirs = Model(VisionTransformer(arch, img_size=64, patch_size=16,
                                         with_cls_token=False,
                                         out_type='featmap'))
    ours, theirs = (count_step(model, (64, 64), train=False).forward
                    for model in (on_meta(**PLAIN, img_size=64), theirs))
    assert ours == theirs
    assert ours['backbone'] / 2 == 16 * 3 * 16**2 * C + 4 * block(16, 16)


def test_a_step():
    """The backward pass computes twice as much; a block keeps 36 bytes.

    That is per token and channel, if an MLP has four times the channels. What
    is allocated for a moment comes on top.
    """
    model = on_meta(**PLAIN, img_size=256)
    count = count_step(model, (256, 256))
    embedding = 2 * 256 * 3 * 16**2 * C
    # the image gets no gradient
    assert count.backward == 2 * count.forward['backbone'] - embedding
    tokens = 16**2
    kept = 256**2 * 3 * 4 + tokens * (4 * C + 8) + 4 * tokens * (
        20 * C + 4 * HIDDEN + 2 * 8 + 4 * HEADS)
    memory = peak_memory(model, (256, 256), 5) - peak_memory(
        model, (256, 256), 4)
    assert kept <= memory <= 1.5 * kept


@pytest.mark.parametrize('name, kept', [
    ('mae-base', 36), ('dinov2-base', 40), ('dinov3-base', 44),
    ('dinov3-small-plus', 60)])
def test_what_the_blocks_of_a_family_keep(name, kept):
    """Bytes per token and channel, as docs/model_zoo.md says."""

    def of_an_image(layers):
        model = on_meta(
            arch=dict(base=name, num_layers=layers), img_size=128,
            patch_size=16, patch_stride=16, stage_depths=(layers, ),
            with_cls_token=False, num_registers=0)
        return peak_memory(model, (128, 128), 9) - peak_memory(
            model, (128, 128), 8)

    block = (of_an_image(4) - of_an_image(3)) / 64 / ARCHS[name]['embed_dims']
    assert block == pytest.approx(kept, abs=1.5)


def test_checkpointing_computes_again_and_keeps_less():
    arch = dict(ARCH, embed_dims=128, feedforward_channels=512)
    models = [on_meta(**{**PLAIN, 'arch': arch}, with_cp=with_cp)
              for with_cp in (False, True)]
    plain, checkpointed = (count_step(one, (256, 256)) for one in models)
    assert checkpointed.forward == plain.forward
    assert 0 < checkpointed.backward - plain.backward <= \
        plain.forward['backbone']
    plain, checkpointed = (peak_memory(one, (256, 256)) for one in models)
    assert checkpointed < 0.7 * plain


def test_frozen_parts_have_no_backward_pass():
    frozen = count_step(on_meta(**PLAIN, frozen_stages=1), (256, 256))
    assert frozen.backward == 0


def test_memory_of_an_operation():
    """The image and the product."""

    class Twice(BaseModule):
        def forward(self, x):
            return (x * 2, )

    assert peak_memory(Model(Twice()), (8, 8), batch=2) == \
        2 * (2 * 3 * 8 * 8 * 4)


def test_a_size_that_a_backbone_does_not_take():

    class Picky(BaseModule):
        def forward(self, x):
            return x.view(2, 7)

    with pytest.raises(UserError, match='Picky cannot run on images of 9 x 8'):
        count_step(Model(Picky()), (9, 8))
    with pytest.raises(UserError, match='has no backbone'):
        count_step(nn.Linear(1, 1), (9, 8))
