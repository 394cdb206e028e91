"""tools/export.py, and what it writes."""
import json

import pytest
import torch

import hpvit_mm
from hpvit_mm.checkpoints import from_pretrained


def needs_packages(ending):
    """Skip a test of ONNX where its packages are not installed."""
    for name in ('onnx', 'onnxscript', 'onnxruntime'):
        if ending == 'onnx':
            pytest.importorskip(name)


def programs(path):
    """Return a function that runs an exported file."""
    if path.suffix == '.pt2':
        return torch.export.load(path).module()
    import numpy as np
    import onnxruntime
    session = onnxruntime.InferenceSession(str(path))
    assert json.loads(session.get_modelmeta().custom_metadata_map[
        'mean']) == pytest.approx([123.675, 116.28, 103.53])
    return lambda x: [torch.from_numpy(one) for one in session.run(
        None, {session.get_inputs()[0].name: np.asarray(x)})]


@pytest.mark.parametrize('kind, part, shape, ending, sizes', [
    ('segmentation', 'model', (64, 64), 'onnx', [(16, 16)])])
def test_exported_programs_give_the_same(inside, trained, tmp_path, kind,
                                         part, shape, ending, sizes):
    needs_packages(ending)
    config, checkpoint = trained(kind)
    out = tmp_path / f'out.{ending}'
    printed = inside('export.py', config, checkpoint, out, '--part', part,
                     '--shape', *shape)
    assert 'differs from PyTorch by' in printed
    outs = programs(out)(torch.zeros(2, 3, *shape))
    assert [tuple(one.shape[2:]) for one in outs] == sizes
    assert all(len(one) == 2 for one in outs)


@pytest.mark.parametrize('kind, part, ending, strides', [
    ('detection', 'features', 'pt2', [4, 8, 16, 32, 64]),
    ('classification', 'model', 'onnx', [])])
def test_programs_for_many_sizes(inside, trained, tmp_path, kind, part,
                                 ending, strides):
    needs_packages(ending)
    config, checkpoint = trained(kind)
    out = tmp_path / f'out.{ending}'
    printed = inside('export.py', config, checkpoint, out, '--part', part,
                     '--dynamic', '--cfg-options',
                     'model.backbone.attention=global')
    assert 'height and width: multiples of 32, from 96' in printed
    run = programs(out)
    for shape in ((96, 96), (128, 96), (96, 256)):
        outs = run(torch.zeros(2, 3, *shape))
        assert all(len(one) == 2 for one in outs)
        if strides:
            assert [tuple(one.shape[2:]) for one in outs] == [
                tuple(-(-side // stride) for side in shape)
                for stride in strides]


def test_a_folder_of_hugging_face(inside, trained, tmp_path):
    config, checkpoint = trained('segmentation')
    inside('export.py', config, checkpoint, tmp_path / 'model')
    backbone = from_pretrained(tmp_path / 'model')
    trained_ones = torch.load(checkpoint, weights_only=True)['state_dict']
    for name, one in backbone.state_dict().items():
        torch.testing.assert_close(one, trained_ones[f'backbone.{name}'])


def test_a_training_tells_its_backbone(trained):
    _, checkpoint = trained('segmentation')
    backbone = hpvit_mm.create_backbone(checkpoint=checkpoint)
    assert backbone.stage_depths == (1, 1, 1, 1)
    trained_ones = torch.load(checkpoint, weights_only=True)['state_dict']
    for name, one in backbone.state_dict().items():
        torch.testing.assert_close(one, trained_ones[f'backbone.{name}'])


def test_mistakes_are_told(refused, trained, tmp_path):
    config, checkpoint = trained('detection')
    other = trained('classification')[1]
    for argv, says in (
            ((checkpoint, 'a.onx'), 'unknown ending'),
            ((other, 'a.pt2'), 'does not fit'),
            ((checkpoint, 'a.pt2', '--shape', '0'), '--shape 0'),
            ((checkpoint, 'a.pt2', '--part', 'model', '--shape', '64'),
             'not exported'),
            ((checkpoint, config.parent), 'exists')):
        refused('export', config, *argv, says=[says])
