"""The same labels as mmseg's EncoderDecoder gives."""
import copy
import random
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.registry import MODELS
from mmseg.models import EncoderDecoder, FCNHead, SegTTAModel
from mmseg.structures import SegDataSample
from torch import nn

from hpvit_mm.models.segmentors import FastEncoderDecoder, encoder_decoder

# mmseg's advice on heads for two classes
pytestmark = pytest.mark.filterwarnings('ignore:.*binary')
DEVICES = ['cpu'] + ['cuda'] * torch.cuda.is_available()


class Backbone(nn.Module):
    """Maps of a quarter of the size; ``last`` changes them."""

    def __init__(self, last=lambda maps: maps):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 4, 4)
        self.last = last

    def forward(self, x):
        return [self.last(self.conv(x))]


class OtherHead(FCNHead):
    """A head with a way of its own to predictions."""

    def predict_by_feat(self, seg_logits, batch_img_metas):
        return -super().predict_by_feat(seg_logits, batch_img_metas)


def config(num_classes=7, align_corners=False, test_cfg=None, last=None,
           head=FCNHead, **head_options):
    return ConfigDict(
        backbone=dict(type=Backbone, **(dict(last=last) if last else {})),
        decode_head=dict(
            type=head, in_channels=4, channels=4, num_convs=0, in_index=0,
            concat_input=False, num_classes=num_classes,
            align_corners=align_corners, norm_cfg=None,
            loss_decode=dict(type='mmseg.CrossEntropyLoss',
                             avg_non_ignore=True), **head_options),
        test_cfg=test_cfg or dict(mode='whole'))


def build(cfg, keep_logits=False):
    """Ours and the host's, with the same weights."""
    torch.manual_seed(0)
    host = EncoderDecoder(**copy.deepcopy(cfg)).eval()
    nn.init.normal_(host.decode_head.conv_seg.weight)
    ours = MODELS.build(dict(
        type='hpvit_mm.FastEncoderDecoder', keep_logits=keep_logits,
        **copy.deepcopy(cfg))).eval()
    ours.load_state_dict(host.state_dict(), strict=True)
    return ours, host


@torch.no_grad()
def predict(model, inputs, metas):
    samples = [SegDataSample(metainfo=dict(one)) for one in metas]
    return model.predict(inputs, samples)


def assert_equal_labels(ours, theirs, logits=False):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs):
        assert one.metainfo == other.metainfo
        assert set(one.keys()) == {'pred_sem_seg'} | (
            {'seg_logits'} if logits else set())
        for name in one.keys():
            value, expected = one.get(name).data, other.get(name).data
            assert value.dtype == expected.dtype
            assert value.shape == expected.shape
            assert torch.equal(value, expected)


def random_meta(dice, height, width):
    """What the pipelines and the data preprocessor tell of an image."""
    meta = dict(img_shape=(height, width), ori_shape=(height, width))
    bottom, right = dice.choice(((0, 0), (height // 5, width // 3)))
    if bottom or right or dice.random() < 0.3:
        name = dice.choice(('padding_size', 'img_padding_size'))
        meta[name] = (0, right, 0, bottom)
        meta['pad_shape'] = (height, width)
        meta['ori_shape'] = meta['img_shape'] = (height - bottom,
                                                 width - right)
    if dice.random() < 0.5:
        meta['ori_shape'] = (dice.randint(2, 200), dice.randint(2, 200))
    if dice.random() < 0.3:
        meta.update(flip=True, flip_direction=dice.choice(
            ('horizontal', 'vertical')))
    return meta


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('seed', range(60))
def test_any_test(seed, device):
    dice = random.Random(seed)
    height, width = (dice.choice((16, 40, 68, 160)) for _ in range(2))
    options = dice.choice((
        dict(num_classes=150), dict(num_classes=7), dict(num_classes=3),
        dict(num_classes=2), dict(num_classes=2, out_channels=1),
        dict(num_classes=1, threshold=0.4),
        dict(head=OtherHead)))
    cfg = config(align_corners=dice.random() < 0.3, **options)
    if dice.random() < 0.4:
        crop = [dice.choice((16, 60, 90, 160)) for _ in range(2)]
        cfg.test_cfg = dict(mode='slide', crop_size=crop, stride=[
            dice.randint(side // 2, side) for side in crop])
    keep_logits = dice.random() < 0.3
    ours, host = (one.to(device) for one in build(cfg, keep_logits))
    inputs = torch.randn(dice.randint(1, 3), 3, height, width, device=device)
    meta = random_meta(dice, height, width)
    metas = [dict(meta, ori_shape=random_meta(
        dice, *meta['ori_shape'])['ori_shape']) for _ in inputs]
    theirs = predict(host, inputs, copy.deepcopy(metas))
    if not keep_logits:
        for one in theirs:
            del one.seg_logits
    assert_equal_labels(predict(ours, inputs, metas), theirs, keep_logits)


def without_logits(samples):
    for one in samples:
        del one.seg_logits
    return samples


WHOLE = dict(mode='whole')
SLIDE = dict(mode='slide', crop_size=(64, 70), stride=(64, 9))
META = dict(img_shape=(64, 80), ori_shape=(64, 80))


def ties(maps):
    return maps * 0


def some_nan(maps):
    return maps.masked_fill(maps > maps.mean() + 1, float('nan'))


def channels_last(maps):
    return maps.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('last', [ties, some_nan, channels_last])
@pytest.mark.parametrize('ori_shape', [(64, 80), (90, 41)])
@pytest.mark.parametrize('test_cfg', [WHOLE, SLIDE])
def test_special_logits(last, ori_shape, test_cfg):
    ours, host = build(config(last=last, num_classes=20, test_cfg=test_cfg))
    inputs = torch.randn(2, 3, 64, 80)
    metas = [dict(META, ori_shape=ori_shape)] * 2
    theirs = without_logits(predict(host, inputs, metas))
    assert_equal_labels(predict(ours, inputs, metas), theirs)
    labels = theirs[0].pred_sem_seg.data
    assert (labels.unique().numel() > 3) == (last is not ties)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision(dtype):
    """300 classes: more than half precision can count."""
    ours, host = build(config(num_classes=300))
    inputs = torch.randn(1, 3, 64, 80)
    with torch.autocast('cpu', dtype):
        assert_equal_labels(predict(ours, inputs, [META]),
                            without_logits(predict(host, inputs, [META])))


def test_without_samples():
    ours, host = build(config())
    inputs = torch.randn(2, 3, 64, 80)
    with torch.no_grad():
        assert_equal_labels(ours.predict(inputs),
                            without_logits(host.predict(inputs)))


def test_with_gradients_on():
    ours, host = build(config(), keep_logits=True)
    inputs = torch.randn(1, 3, 64, 80)
    sample, = ours.predict(inputs, [SegDataSample(metainfo=META)])
    assert_equal_labels([sample], predict(host, inputs, [META]), logits=True)
    assert sample.seg_logits.data.requires_grad
    ours.keep_logits = False
    sample, = ours.predict(inputs, [SegDataSample(metainfo=META)])
    assert_equal_labels([sample],
                        without_logits(predict(host, inputs, [META])))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('num_classes', [2, 3, 5, 8, 19, 33])
def test_torch_resizes_a_class_as_it_resizes_all(num_classes, dtype):
    """Bit for bit, where we say so: labels hardly show a difference."""
    dice = random.Random(num_classes)
    torch.manual_seed(num_classes)
    separable = 0
    for _ in range(60):
        shape = [dice.choice((1, 2, 9, 33, 70, 128)) for _ in range(2)]
        maps = torch.randn(1, num_classes, *shape).to(dtype)
        steps = [partial(F.interpolate, align_corners=dice.random() < 0.5,
                         size=[dice.choice((1, 9, 40, 65, 97, 200))
                               for _ in range(2)], mode='bilinear')
                 for _ in range(dice.randint(1, 2))]
        if dice.random() < 0.3:
            steps.insert(1, lambda maps: maps[:, :, 1:, 2:] if min(
                maps.shape[2:]) > 2 else maps)
        if dice.random() < 0.3:
            steps.insert(1, lambda maps: maps.flip(3))
        if encoder_decoder.is_separable(maps, steps):
            separable += 1
            at_once = maps
            for step in steps:
                maps = torch.cat([step(one) for one in maps.split(1, 1)], 1)
                at_once = step(at_once)
                assert torch.equal(maps, at_once)
    assert (separable > 9) == (num_classes != 3)


@pytest.mark.parametrize('test_cfg', [WHOLE, SLIDE])
def test_one_class_at_a_time(monkeypatch, test_cfg):
    """All at once would be the host's memory, and its time."""
    resized = []

    def resize(input, **kwargs):
        resized.append(input.size(1))
        return original(input, **kwargs)

    original = encoder_decoder.resize
    monkeypatch.setattr(encoder_decoder, 'resize', resize)
    monkeypatch.setattr('mmseg.models.decode_heads.decode_head.resize',
                        resize)
    ours, _ = build(config(num_classes=5, test_cfg=test_cfg))
    inputs = torch.randn(1, 3, 64, 80)
    windows = 1 if test_cfg is WHOLE else 3
    # one more, by which it looks at the sizes
    predict(ours, inputs, [META])
    assert resized == [1] * windows * 6
    del resized[:]
    predict(ours, inputs, [dict(META, ori_shape=(100, 100))])
    assert resized == [1] * (windows + 1) * 6


def test_gaps_between_windows_are_refused():
    test_cfg = dict(mode='slide', crop_size=(64, 70), stride=(64, 90))
    for model in build(config(test_cfg=test_cfg)):
        with pytest.raises(AssertionError):
            predict(model, torch.randn(1, 3, 64, 200), [META])


def test_a_wrong_flip_is_refused():
    for model in build(config()):
        with pytest.raises(AssertionError):
            predict(model, torch.randn(1, 3, 64, 80),
                    [dict(META, flip=True, flip_direction='diagonal')])


def test_the_host_trains_it():
    assert FastEncoderDecoder.loss is EncoderDecoder.loss


def test_test_time_augmentation():
    ours, host = build(config())
    merged = []
    for model, kind in ((ours, 'hpvit_mm.FastSegTTAModel'),
                        (host, SegTTAModel)):
        tta = MODELS.build(dict(type=kind, module=model))
        torch.manual_seed(1)
        flipped = dict(META, flip=True, flip_direction='horizontal')
        data = dict(
            inputs=[torch.randn(1, 3, 64, 80), torch.randn(1, 3, 96, 120)],
            data_samples=[[SegDataSample(metainfo=dict(
                one, img_path='a.jpg', ori_shape=(50, 60)))]
                for one in (META, dict(flipped, img_shape=(96, 120)))])
        with torch.no_grad():
            merged.append(tta.test_step(data)[0].pred_sem_seg.data)
    assert ours.keep_logits
    assert torch.equal(*merged)
