"""The same batches as the hosts', bit for bit."""
import copy
import random

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement, InstanceData, PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample

from hpvit_mm.models.data_preprocessors import batch
from hpvit_mm.models.data_preprocessors.cls import ClsDataPreprocessor
from hpvit_mm.models.data_preprocessors.det import DetDataPreprocessor
from hpvit_mm.models.data_preprocessors.seg import SegDataPreProcessor

DEVICES = ['cpu'] + ['cuda'] * torch.cuda.is_available()
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
DTYPES = (torch.uint8, torch.uint8, torch.float32, torch.float64,
          torch.float16, torch.int16)


def assert_same(ours, theirs, place='data'):
    """Equal, through samples, masks and lists."""
    if isinstance(theirs, BaseDataElement):
        assert_same(dict(ours.all_items()), dict(theirs.all_items()), place)
    elif isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), place
        for key, value in theirs.items():
            assert_same(ours[key], value, f'{place}.{key}')
    elif isinstance(theirs, (list, tuple)):
        assert type(ours) is type(theirs) and len(ours) == len(theirs), place
        for index, value in enumerate(theirs):
            assert_same(ours[index], value, f'{place}.{index}')
    elif isinstance(theirs, torch.Tensor):
        assert ours.dtype == theirs.dtype and ours.device == theirs.device
        assert ours.is_contiguous() == theirs.is_contiguous(), place
        assert torch.equal(ours, theirs), place
    elif isinstance(theirs, np.ndarray):
        np.testing.assert_array_equal(ours, theirs)
    elif isinstance(theirs, (BitmapMasks, PolygonMasks)):
        assert (ours.height, ours.width) == (theirs.height, theirs.width)
        assert_same(ours.masks, theirs.masks, f'{place}.masks')
    elif isinstance(theirs, HorizontalBoxes):
        assert_same(ours.tensor, theirs.tensor, place)
    else:
        assert ours == theirs, place


def compare(host, options, data, training=True, device='cpu'):
    """Both in turn on copies of the data; the data itself stays."""
    kept = copy.deepcopy(data)
    outs = []
    name = host.__name__
    for kind in (f'hpvit_mm.Fast{name}', host):
        model = MODELS.build(dict(type=kind, **copy.deepcopy(options)))
        np.random.seed(0)
        torch.manual_seed(0)
        given = copy.deepcopy(data)
        outs.append(model.to(device)(given, training))
        assert_same(given['inputs'], kept['inputs'])
    assert_same(*outs)
    assert list(model.state_dict()) == []
    return outs[0]


@pytest.fixture(params=range(30))
def dice(request, monkeypatch):
    """A seed for all choices, and each way through the code."""
    torch.manual_seed(request.param)
    monkeypatch.setattr(batch, 'AT_ONCE', (0, 2000, 2**19)[request.param % 3])
    return random.Random(request.param)


def images(dice, same=False, stacked=False, channels=3):
    """A few small images, of one or of several sizes."""
    number, dtype = dice.randint(1, 4), dice.choice(DTYPES)
    sizes = [(dice.randint(1, 40), dice.randint(1, 40))
             for _ in range(number)]
    if same or stacked:
        sizes = sizes[:1] * number
    found = [(torch.rand(channels, *size) * 255).to(dtype) for size in sizes]
    return torch.stack(found) if stacked else found


def normalisation(dice):
    """Mostly as usual; sometimes what only the host knows."""
    return dice.choice([dict(mean=MEAN, std=STD)] * 4 + [
        dict(), dict(mean=[100.], std=[50.]), dict(mean=[0] * 3, std=[255] * 3)
    ])


@pytest.mark.parametrize('device', DEVICES)
def test_classification(dice, device):
    inputs = images(dice, stacked=dice.random() < 0.5)
    samples = [DataSample().set_gt_label(dice.randrange(5)) for _ in inputs]
    options = dict(
        to_rgb=dice.random() < 0.7, pad_size_divisor=dice.choice((1, 8)),
        pad_value=dice.choice((0, 3.5)), num_classes=5,
        **normalisation(dice))
    if dice.random() < 0.5:
        options['batch_augments'] = dict(augments=[
            dict(type='mmpretrain.Mixup', alpha=0.8),
            dict(type='mmpretrain.CutMix', alpha=1.0)])
    for training in (True, False):
        compare(ClsDataPreprocessor, options,
                dict(inputs=inputs, data_samples=samples), training, device)
        compare(ClsDataPreprocessor, options, dict(inputs=inputs), training,
                device)


def detection_sample(dice, height, width):
    sample = DetDataSample(metainfo=dict(img_shape=(height, width)))
    masks = np.random.RandomState(0).rand(2, height, width) > 0.5
    polygons = [[np.array([0., 0., width, 0., width, height])]] * 2
    sample.gt_instances = InstanceData(
        bboxes=HorizontalBoxes(torch.rand(2, 4)), labels=torch.arange(2),
        masks=dice.choice((BitmapMasks(masks.astype(np.uint8), height, width),
                           PolygonMasks(polygons, height, width))))
    sample.gt_sem_seg = PixelData(sem_seg=torch.ones(1, height, width))
    return sample


@pytest.mark.parametrize('device', DEVICES)
def test_detection(dice, device):
    inputs = images(dice, stacked=dice.random() < 0.2)
    samples = [detection_sample(dice, *one.shape[1:]) for one in inputs]
    options = dict(
        bgr_to_rgb=dice.random() < 0.7, pad_size_divisor=dice.choice((1, 32)),
        pad_value=dice.choice((0, 114)), pad_mask=dice.random() < 0.7,
        pad_seg=dice.random() < 0.5, boxtype2tensor=dice.random() < 0.7,
        **normalisation(dice))
    if dice.random() < 0.5:
        options['batch_augments'] = [dict(
            type='mmdet.BatchFixedSizePad', size=(64, 64), pad_mask=True)]
    for training in (True, False):
        compare(DetDataPreprocessor, options,
                dict(inputs=inputs, data_samples=samples), training, device)
        compare(DetDataPreprocessor, options,
                dict(inputs=inputs, data_samples=None), False, device)


def segmentation_sample(height, width):
    sample = SegDataSample(metainfo=dict(img_shape=(height, width)))
    for name in ('gt_sem_seg', 'gt_edge_map', 'gt_depth_map'):
        maps = torch.randint(0, 9, (1, height, width))
        sample.set_data({name: PixelData(data=maps)})
    return sample


@pytest.mark.parametrize('device', DEVICES)
def test_segmentation(dice, device):
    options = dict(seg_pad_val=dice.choice((255, 7)),
                   pad_val=dice.choice((0, 2.5)), **normalisation(dice))
    options.update(dice.choice([dict(bgr_to_rgb=True), dict(rgb_to_bgr=True),
                                dict()]))
    padding = [dict(size=(40, 48)), dict(size_divisor=16)]
    test_cfg = dice.choice([None, *padding])
    inputs = images(dice)
    samples = [segmentation_sample(*one.shape[1:]) for one in inputs]
    compare(SegDataPreProcessor, dict(**options, **dice.choice(padding)),
            dict(inputs=inputs, data_samples=samples), True, device)
    inputs = images(dice, same=True, stacked=dice.random() < 0.3)
    samples = [segmentation_sample(*one.shape[1:]) for one in inputs]
    options['test_cfg'] = test_cfg
    compare(SegDataPreProcessor, options,
            dict(inputs=inputs, data_samples=samples), False, device)
    if not test_cfg:
        compare(SegDataPreProcessor, options, dict(inputs=inputs), False,
                device)


HOSTS = dict(cls=ClsDataPreprocessor, det=DetDataPreprocessor,
             seg=SegDataPreProcessor)
UNUSUAL = {
    'grey': ('cls', dict(to_rgb=True), lambda: [torch.rand(1, 5, 5)]),
    'four channels': ('cls', dict(mean=[1.] * 4, std=[2.] * 4),
                      lambda: [torch.rand(4, 5, 5)]),
    'other stack': ('cls', dict(to_rgb=True), lambda: torch.rand(2, 1, 5, 5)),
    'grey for mmseg': ('seg', dict(mean=[1.], std=[2.]),
                       lambda: [torch.rand(1, 5, 5)] * 2),
    'grey for mmdet': ('det', dict(mean=[1.], std=[2.]),
                       lambda: [torch.rand(1, 5, 5)] * 2),
}


@pytest.mark.parametrize('host, options, inputs', UNUSUAL.values(),
                         ids=UNUSUAL)
def test_unusual_images_are_left_to_the_host(host, options, inputs):
    options = dict(dict(mean=MEAN, std=STD), **options)
    compare(HOSTS[host], options, dict(inputs=inputs()), False)


@pytest.mark.parametrize('host', HOSTS.values())
def test_other_precision(host):
    data = dict(inputs=[torch.rand(3, 8, 8) * 255])
    for change in (torch.nn.Module.double, torch.nn.Module.half):
        ours, theirs = (
            change(MODELS.build(dict(type=kind, mean=MEAN, std=STD)))(data)
            for kind in (f'hpvit_mm.Fast{host.__name__}', host))
        assert_same(ours, theirs)


@pytest.mark.parametrize('host', HOSTS.values())
def test_gradients_reach_images(host, monkeypatch):
    """As attacks on a model need them."""
    monkeypatch.setattr(batch, 'AT_ONCE', 0)
    image = torch.rand(3, 8, 8).requires_grad_()
    model = MODELS.build(dict(type=f'hpvit_mm.Fast{host.__name__}',
                              mean=MEAN, std=STD))
    model(dict(inputs=[image]))['inputs'].sum().backward()
    assert torch.allclose(image.grad[:, 0, 0], 1 / torch.tensor(STD))


def error_of(call):
    with pytest.raises(Exception) as caught:
        call()
    return caught.type, str(caught.value)


@pytest.mark.parametrize('host', HOSTS.values())
def test_mistakes_are_told_by_the_host(host):
    kinds = (f'hpvit_mm.Fast{host.__name__}', host)

    def errors(data, training=False, **options):
        return [error_of(lambda: MODELS.build(
            dict(type=kind, **options))(data, training)) for kind in kinds]

    sized = dict(mean=MEAN, std=STD)
    different = dict(inputs=[torch.zeros(3, 4, 4), torch.zeros(3, 4, 5)])
    cases = [errors(dict(inputs=[]), **sized), errors({}, **sized),
             errors(different, mean=MEAN)]
    if host is SegDataPreProcessor:
        cases += [errors(different, **sized),
                  errors(different, True, size=(8, 8), **sized),
                  errors(dict(different, data_samples=[SegDataSample()] * 2),
                         True, **sized)]
    for ours, theirs in cases:
        assert ours == theirs
