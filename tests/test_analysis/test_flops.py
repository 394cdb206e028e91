"""Parameters and multiply-adds part by part: sums, formulas, known models."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from hpvit_mm.analysis.cost import counter, skeleton
from hpvit_mm.analysis.flops import (formatted, hpvit_parts, model_parts,
                                     parse_shape, table)
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

ROOT = Path(__file__).parents[2]
SMALL = dict(
    arch=dict(embed_dims=32, num_layers=6, num_heads=2,
              feedforward_channels=128), stage_depths=(1, 2, 2, 1))
LINEAR = dict(type='LinearClsHead', num_classes=1000, in_channels=768)


def on_meta(**kwargs) -> HPViT:
    with torch.device('meta'):
        return HPViT(**kwargs)


def config(path: str) -> Config:
    return Config.fromfile(ROOT / 'configs' / f'{path}.py')


def classifier(backbone: dict, head: dict = None) -> Config:
    return Config(dict(default_scope='mmpretrain', model=dict(
        type='ImageClassifier', backbone=backbone, head=head)))


# ------------------------------------------------------------ an HPViT's parts


@pytest.mark.parametrize('kwargs', [
    dict(), dict(pooling='avg', out_type='avg_featmap'),
    dict(with_cls_token=True, num_registers=2, pre_norm=True),
    dict(stage_depths=(0, 3, 0, 3)), dict(out_indices=(0, 1)),
    dict(patch_stride=16, stage_depths=(6, )), dict(frozen_stages=2)],
    ids=str)
def test_the_parts_are_the_whole(kwargs):
    backbone = on_meta(**{**SMALL, **kwargs}).eval()
    parts, _ = hpvit_parts(backbone, (100, 60))
    with counter() as counted, torch.no_grad():
        backbone(torch.empty(1, 3, 100, 60, device='meta'))
    assert 2 * sum(part.executed for part in parts) == \
        counted.get_total_flops()
    assert sum(part.parameters for part in parts) == sum(
        one.numel() for one in backbone.parameters())


@pytest.mark.parametrize('pooling', ['avg', 'conv'])
def test_hpvit_b_by_hand(pooling):
    """At 224: 49 tokens in a group at 1/32, 196 elsewhere."""
    c, patch = 768, 3 * 16**2
    tokens, group = (56**2, 28**2, 14**2, 7**2), (196, 196, 196, 49)
    depths, conv = (2, 2, 6, 2), pooling == 'conv'
    (embedding, *stages, norms), _ = hpvit_parts(
        on_meta(pooling=pooling, out_type='avg_featmap'), (224, 224))
    assert embedding.parameters == (patch + 1) * c + 196 * c
    assert embedding.nominal == embedding.executed == tokens[0] * patch * c
    assert [stage.parameters for stage in stages] == [
        d * (12 * c**2 + 13 * c) + (conv and s > 0) * (4 * c**2 + c)
        for s, d in enumerate(depths)]
    nominal = [
        n * (d * (12 * c**2 + 2 * w * c) + (conv and s > 0) * 4 * c**2)
        for s, (n, d, w) in enumerate(zip(tokens, depths, group))]
    assert [stage.nominal for stage in stages] == nominal
    # an average of tokens gets the last fc2: all, or four
    averages = [n if conv else n // 4 for n in tokens[:3]] + [1]
    assert [stage.executed for stage in stages] == [
        macs - (n - a) * 4 * c**2
        for macs, n, a in zip(nominal, tokens, averages)]
    remarks = [stage.remark for stage in stages]
    assert remarks == ['' if conv else 'last fc2 behind the average'] * 3 \
        + ['last fc2 behind the average']
    assert [stage.attention for stage in stages] == [
        'dilated 14 x 14'] * 2 + ['global 14 x 14', 'global 7 x 7']
    assert (norms.parameters, norms.nominal, norms.executed) == (2 * c, 0, 0)


def test_padding_by_hand():
    """100 pixels are 25 tokens at 1/4: dilated by 4, groups of 7 x 7."""
    (_, quarter, *_), _ = hpvit_parts(on_meta(**SMALL), (100, 100))
    assert quarter.tokens == '25 x 25'
    assert quarter.remark == 'padded to 28 x 28'
    assert quarter.nominal == round(25**2 * (
        12 * 32**2 + 2 * 25**2 / 16 * 32))
    assert quarter.executed == 28**2 * (12 * 32**2 + 2 * 49 * 32)


def test_several_kinds_of_attention():
    kinds = ('dilated', ('dilated', 'window'), ('global', 'global'),
             'global')
    (_, _, eighth, sixteenth, _, _), _ = hpvit_parts(
        on_meta(**SMALL, attention=kinds, window_size=4), (64, 64))
    assert eighth.attention == '1 dilated 4 x 4, 1 window 4 x 4'
    assert sixteenth.attention == 'global 4 x 4'


# ---------------------------------------------------------------- whole models


@pytest.mark.parametrize('head', [LINEAR, None])
def test_plain_vit_b(head):
    """12 C^2 + 2 N C per token: 17.47 GMACs, with cls 17.56."""
    c, n = 768, 196
    plain = dict(type='hpvit_mm.HPViT', patch_stride=16, stage_depths=(12, ))
    backbone = next(part for part in model_parts(
        skeleton(classifier(plain)), (224, 224)) if part.name == 'backbone')
    assert backbone.nominal == backbone.executed == \
        n * 3 * 16**2 * c + 12 * n * (12 * c**2 + 2 * n * c)
    assert backbone.nominal / 1e9 == pytest.approx(17.47, abs=0.005)
    # a host's, with cls, of which the patches alone are no attention
    theirs = model_parts(skeleton(classifier(
        dict(type='VisionTransformer', arch='b'), head)), (224, 224))
    assert [part.name for part in theirs] == [
        'backbone', *(['head'] if head else []), 'total']
    assert theirs[0].nominal is theirs[-1].nominal is None
    assert theirs[0].executed == \
        n * 3 * 16**2 * c + 12 * (n + 1) * (12 * c**2 + 2 * (n + 1) * c)
    assert theirs[0].executed / 1e9 == pytest.approx(17.56, abs=0.005)
    assert theirs[-1].executed - theirs[0].executed == \
        (768 * 1000 if head else 0)


def test_a_detector():
    parts = {part.name: part for part in model_parts(skeleton(config(
        'coco/vit-base-mae_mask-rcnn_8xb8-lsj-100e_coco')), (1024, 1024))}
    assert list(parts) == ['embedding', 'stage 1/16', 'output norms',
                           'backbone', 'neck', 'rpn_head', 'roi_head',
                           'total']
    assert parts['stage 1/16'].attention == \
        '8 window 16 x 16, 4 global 64 x 64'
    # the convolutions of the RPN on five levels: two of 3x3, two of 1x1
    tokens, c = sum((256 >> i)**2 for i in range(5)), 256
    assert parts['rpn_head'].executed == tokens * (2 * 9 * c * c + c * 15)
    assert parts['total'].executed == sum(
        parts[name].executed
        for name in ('backbone', 'neck', 'rpn_head', 'roi_head'))


def test_heads_that_need_data_are_left_open():
    cfg = classifier(dict(type='hpvit_mm.HPViT', **SMALL), dict(
        type='LinearClsHead', num_classes=10, in_channels=7))
    *_, head, total = model_parts(skeleton(cfg), (64, 64))
    assert (head.parameters, head.executed, total.executed) == (80, None, None)
    assert formatted([head, total])[1].split() == [
        'head', '0.000', '-', '-', '-']


def test_the_table():
    cfg = config('imagenet/vit-base-mae_knn_in1k')
    lines = table(cfg).split('\n')
    assert lines[0].endswith(
        'vit-base-mae_knn_in1k.py, an image of 224 x 224 pixels')
    assert lines[2].split() == [
        'tokens', 'blocks', 'attention', 'parameters,', 'M', 'GMACs:',
        'nominal', 'executed', 'share']
    assert lines[4].split() == (
        'stage 1/16 14 x 14 12 global 14 x 14 85.054 17.355 16.895 99.3 % '
        'last fc2 behind the average').split()
    assert lines[6] == lines[7].replace('total   ', 'backbone')
    assert 'call it a FLOP' in '\n'.join(lines[9:])
    assert '7 x 5 ' in table(cfg, (112, 80)).split('\n')[3]


# ------------------------------------------------------------------ mistakes


def test_shapes():
    assert parse_shape(['224']) == (224, 224)
    assert parse_shape(['512', '1024']) == (512, 1024)


@pytest.mark.parametrize('text', ['0', '-224', 'a', '1.5', '224 0', '1 2 3',
                                  '65537', '224x224'])
def test_no_shapes(text):
    with pytest.raises(UserError, match=f'--shape {text}: give the height'):
        parse_shape(text.split())


def test_unknown_size():
    cfg = classifier(dict(type='hpvit_mm.HPViT', **SMALL))
    with pytest.raises(UserError, match='is not known; give --shape'):
        table(cfg)


def test_no_model():
    with pytest.raises(UserError, match='has no model'):
        table(Config(dict(a=1)), (64, 64))


def test_no_backbone():
    cfg = Config(dict(default_scope='mmpretrain', model=dict(
        type='BaseDataPreprocessor')))
    with pytest.raises(UserError, match='has no backbone'):
        table(cfg, (64, 64))


def test_a_size_that_a_host_does_not_take():
    cfg = classifier(dict(type='SwinTransformer', arch='tiny'))
    with pytest.raises(UserError, match='SwinTransformer cannot be run on an '
                       'image of 100 x 100 pixels'):
        table(cfg, (100, 100))
