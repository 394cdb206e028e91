"""What is kept for the backward pass: formula, measurement, and by hand."""
import pytest
import torch

from hpvit_mm.analysis.benchmark import memory as measurement
from hpvit_mm.analysis.memory import (activation_bytes, copied_weights,
                                      kept_bytes)
from hpvit_mm.models import HPViT

SMALL = dict(
    arch=dict(embed_dims=32, num_layers=6, num_heads=2,
              feedforward_channels=96), stage_depths=(1, 2, 2, 1))
MIB = 2**20


def on_meta(**kwargs) -> HPViT:
    with torch.device('meta'):
        return HPViT(**kwargs)


def computed(backbone: HPViT, size: int) -> int:
    return sum(kept for kept, _ in kept_bytes(backbone, (size, size)))


# ------------------------------------------------------ formula, measurement


@pytest.mark.parametrize('kwargs', [
    dict(),
    dict(pooling='avg'),
    dict(out_type='avg_featmap'),
    dict(pooling='avg', out_type='avg_featmap'),
    dict(attention='window', window_size=8),
    dict(attention='global', pooling='avg'),
    dict(out_indices=(0, 1)),
    dict(pooling='avg', out_indices=(1, 3)),
    dict(stage_depths=(0, 3, 0, 3)),
    dict(patch_stride=16, stage_depths=(6, )),
    dict(with_cp=True),
    dict(with_cp=(True, True, False, False), pooling='avg',
         out_type='avg_featmap'),
    dict(with_cp=(False, True, False, True)),
    dict(frozen_stages=0),
    dict(frozen_stages=1),
    dict(frozen_stages=2, pooling='avg'),
], ids=str)
def test_formula_and_measurement_agree(kwargs):
    backbone = HPViT(**{**SMALL, **kwargs})
    kept, _ = measurement.kept_of_image(backbone, 96)
    assert kept == computed(backbone, 96)


@pytest.mark.parametrize('kwargs', [
    dict(), dict(pooling='avg'), dict(with_cls_token=True, num_registers=2),
    dict(pooling='avg', out_type='avg_featmap'), dict(with_cp=True),
    dict(drop_path_rate=0.1)], ids=str)
def test_padding_and_prefix_tokens(kwargs):
    """Nearly: masks are not counted, and odd rows as halves."""
    backbone = HPViT(**{**SMALL, **kwargs})
    kept, _ = measurement.kept_of_image(backbone, 100)
    kept -= 2 * backbone.patch_embed.proj.weight.numel()  # its own copy
    assert kept == pytest.approx(computed(backbone, 100), rel=0.02)


def test_copies_of_weights():
    backbone = HPViT(**SMALL)
    _, copies = measurement.kept_of_image(backbone, 64)
    embedding = backbone.patch_embed.proj.weight.numel()
    assert copies == 2 * (copied_weights(backbone) - embedding)
    assert copied_weights(backbone) == embedding + 3 * 4 * 32**2 + 6 * (
        4 * 32**2 + 2 * 32 * 96)
    assert copied_weights(HPViT(**SMALL, with_cp=True)) == \
        embedding + 3 * 4 * 32**2
    assert copied_weights(HPViT(**SMALL, frozen_stages=4)) == 0


def test_measuring_leaves_the_model_as_it_is():
    backbone = HPViT(**SMALL)
    measurement.kept_of_image(backbone, 64)
    assert not any(one._forward_pre_hooks for one in backbone.modules())


def test_the_table_of_the_measurement(monkeypatch, capsys):
    models = [('first', HPViT(**SMALL)), ('second', HPViT(**SMALL,
                                                         pooling='avg'))]
    monkeypatch.setattr(measurement, 'backbones', lambda *_: models)
    rows = measurement.run(sizes=(64, 224))
    assert [row['variant'] for row in rows] == ['first', 'second'] * 2
    assert all(row['MiB'] == row['computed'] for row in rows)
    assert ['fp32' in row for row in rows] == [False, False, True, True]
    # some bytes are fp32 in autocast, too
    assert rows[-1]['MiB'] * 1.5 < rows[-1]['fp32'] < rows[-1]['MiB'] * 2
    lines = capsys.readouterr().out.split('\n')
    assert lines[0] == 'kept of an image of 64 pixels, MiB'
    assert lines[1].split() == ['measured', 'computed', 'copies', 'in', 'fp32']


# ------------------------------------------------------------------- by hand


def test_a_block_by_hand():
    """36 bytes per token and channel, and statistics."""
    channels = 56**2 * 768
    image = 224**2 * 3 * 4
    backbone = on_meta(patch_stride=4, stage_depths=(12, ), out_indices=0)
    assert computed(backbone, 224) == image + 12 * (
        channels * 36 + 56**2 * (4 * 4 + 12 * 4)) + channels * 4 + 56**2 * 8
    backbone = on_meta(patch_stride=4, stage_depths=(12, ), with_cp=True)
    assert computed(backbone, 224) == image + 12 * channels * 4 \
        + channels * 4 + 56**2 * 8


@pytest.mark.parametrize('size, window_size, with_cp, mib', [
    (512, 16, False, 1356.8),
    (512, 16, (True, False, False, False), 586.8),
    (1024, 16, False, 5427.3),
    (1024, 16, (True, False, False, False), 2347.3),
])
def test_hpvit_b(size, window_size, with_cp, mib):
    """As they were measured, too (docs/model_zoo.md)."""
    backbone = on_meta(window_size=window_size, with_cp=with_cp)
    assert activation_bytes(backbone, (size, size)) / MIB == \
        pytest.approx(mib, abs=0.1)


def test_the_last_recomputed_block_counts_behind_what_is_kept():
    backbone = on_meta(**SMALL, attention='global',
                       with_cp=(False, True, False, False))
    parts = list(kept_bytes(backbone, (64, 64)))
    # the embedding, a block, its output and pooling, then two blocks at 1/8
    held = [held for _, held in parts]
    assert [bool(one) for one in held] == [False] * 4 + [True] * 2 \
        + [False] * 8
    block = 8**2 * (20 * 32 + 4 * 96 + 16 + 2 * 4)
    given = 8**2 * 32 * 4
    assert parts[4] == parts[5] == (given, block)
    kept = [kept for kept, _ in parts]
    assert activation_bytes(backbone, (64, 64)) == max(
        sum(kept), sum(kept[:5]) + block) == sum(kept[:5]) + block


def test_frozen_blocks_hold_one_at_a_time():
    backbone = on_meta(**SMALL, frozen_stages=4, pooling='avg')
    parts = list(kept_bytes(backbone, (64, 64)))
    assert not any(kept for kept, _ in parts)
    assert activation_bytes(backbone, (64, 64)) == 24 * 32 * 16**2
