"""The pipelines of the configs give what the hosts' own give."""
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from PIL import Image

from hpvit_mm.analysis.benchmark import data
from hpvit_mm.analysis.benchmark.photographs import make_photographs
from hpvit_mm.analysis.benchmark.timing import Options
from hpvit_mm.errors import UserError


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    return make_photographs(tmp_path_factory.mktemp('photographs'), 4)


def test_pictures(pictures):
    sizes = dict(imagenet={(500, 375), (375, 500)},
                 coco={(640, 480), (480, 640)},
                 ade20k={(683, 512), (512, 683)}, cityscapes={(2048, 1024)})
    for name, expected in sizes.items():
        found = set()
        for item in pictures[name]:
            with Image.open(item['img_path']) as image:
                found.add(image.size)
                bits = 8 * len(open(item['img_path'], 'rb').read())
                # as detailed as those of the data sets
                assert 1 < bits / (image.width * image.height) < 16
                if 'seg_map_path' in item:
                    with Image.open(item['seg_map_path']) as labels:
                        assert labels.size == image.size
                        assert len(np.unique(labels)) > 5
        assert found == expected


@pytest.mark.parametrize('mode', ['train', 'test'])
@pytest.mark.parametrize('name', data.CASES)
def test_same_samples(name, mode, pictures):
    pipelines = data.Pipelines(name, mode)
    _, kind, images = data.CASES[name]
    data.check_samples(pipelines.ours, pipelines.theirs, pictures[kind],
                       min(images, 24))
    for transform in pipelines.theirs.transforms:
        assert not type(transform).__module__.startswith('hpvit_mm')
    ours = any(type(transform).__module__.startswith('hpvit_mm')
               for transform in pipelines.ours.transforms)
    assert ours != pipelines.equal


def test_bmp_has_the_pixels_of_png(pictures):
    for one, other in zip(pictures['cityscapes'], pictures['cityscapes-bmp']):
        assert other['img_path'].endswith('.bmp')
        with Image.open(one['img_path']) as a, \
                Image.open(other['img_path']) as b:
            assert np.array_equal(a, b)


def test_other_samples_are_not_timed(pictures):
    train, test = (data.Pipelines('imagenet_224', mode).ours
                   for mode in ('train', 'test'))
    with pytest.raises(UserError, match='differ in the .*cannot be compared'):
        data.check_samples(train, test, pictures['imagenet'], 2)


@pytest.mark.parametrize('one, other, where', [
    (1, 1, None), (1, 2, 'the sample'), (None, dict(a=1), 'the sample'),
    (dict(a=1), None, 'the keys of the sample'),
    (dict(a=1, b=2), dict(a=1, b=3), 'the sample.b'),
    (dict(a=1), dict(b=1), 'the keys of the sample'),
    (torch.zeros(2), torch.zeros(2), None),
    (torch.zeros(2), torch.zeros(2).int(), 'the sample'),
    (np.zeros(2), np.zeros(2), None), (np.zeros(2), np.ones(2), 'the sample'),
    (InstanceData(labels=torch.zeros(2)), InstanceData(labels=torch.ones(2)),
     'the sample.labels'),
    (InstanceData(metainfo=dict(a=[1])), InstanceData(a=[1]),
     'the sample.keys')])
def test_differences(one, other, where):
    assert data.difference(one, other) == where


def test_suite(pictures, monkeypatch, capsys):
    monkeypatch.setattr(data, 'make_photographs', lambda _: pictures)
    monkeypatch.setattr(data, 'CASES', {
        name: (host, kind, 2)
        for name, (host, kind, _) in data.CASES.items()})
    rows = data.run(Options(rounds=1))
    text = capsys.readouterr().out
    assert len({row['case'] for row in rows}) == 12
    for row in rows:
        assert row['images_per_second'] > 0
        assert row['case'] in text
    assert 'ours: LoadImageFromFile' in text
