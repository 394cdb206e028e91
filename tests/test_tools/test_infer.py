"""Inference: tools/infer.py, and the libraries' own APIs on our models."""
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from pycocotools.coco import COCO
from tiny_experiments import ROOT

SIZES = dict(classification=(64, 80), detection=(96, 128),
             segmentation=(96, 96))


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """A folder with two images, one in a folder of its own, and others."""
    folder = tmp_path_factory.mktemp('images')
    (folder / 'more').mkdir()
    random = np.random.RandomState(0)
    for name, size in (('a.png', (96, 96)), ('more/a.png', (96, 96)),
                       ('more/b.jpg', (80, 120))):
        cv2.imwrite(str(folder / name), random.randint(
            0, 255, (*size, 3), dtype=np.uint8))
    (folder / 'notes.txt').write_text('no image')
    return folder


def infer(inside, trained, kind, *argv, status=0):
    config, checkpoint = trained(kind)
    return inside('infer.py', config, checkpoint, *argv, '--device', 'cpu',
                  status=status)


def test_classification_tells_the_top_classes(inside, trained, images):
    printed = infer(inside, trained, 'classification', images, '--out', 'out',
                    '--top-k', 3, '--batch-size', 2)
    assert f'{images}/more/b.jpg: ' in printed
    assert '3 predicted; results in out' in printed
    result = json.loads(Path('out/predictions.json').read_text())
    assert [Path(one['file_name']).name for one in result['images']] == [
        'a.png', 'a.png', 'b.jpg']
    for one in result['images']:
        scores = [found['score'] for found in one['classes']]
        assert len(scores) == 3 and scores == sorted(scores, reverse=True)
        assert one['classes'][0]['name'] == \
            result['info']['classes'][one['classes'][0]['label']]
    for name in ('a.png', 'more/a.png', 'more/b.jpg'):
        assert cv2.imread(f'out/images/{name}') is not None


def test_detection_writes_a_file_of_coco(inside, trained, images):
    infer(inside, trained, 'detection', images / '**/*.png', '--out', 'out',
          '--score-thr', 0.01)
    coco = COCO('out/predictions.json')
    assert len(coco.imgs) == 2 and len(coco.cats) == 10
    assert coco.cats[1]['name'] == 'zero'
    assert coco.anns
    for one in coco.anns.values():
        assert one['score'] >= 0.01 and len(one['bbox']) == 4
    assert cv2.imread('out/images/more/a.png').shape == (96, 96, 3)


def test_segmentation_writes_label_maps(inside, trained, images):
    printed = infer(inside, trained, 'segmentation', images, '--batch-size',
                    3, '--out', 'out', '--no-images', '--json')
    result = json.loads(printed[printed.index('{\n'):printed.rindex('}') + 1])
    for one, size in zip(result['images'], ((96, 96), (96, 96), (80, 120))):
        labels = cv2.imread(f'out/{one["label_map"]}', cv2.IMREAD_UNCHANGED)
        assert labels.shape == size and labels.dtype == np.uint8
        shares = np.bincount(labels.ravel()) / labels.size
        for name, share in one['shares'].items():
            label = result['info']['classes'].index(name)
            assert share == pytest.approx(shares[label], abs=1e-6)
    assert not Path('out/images').exists()


def test_a_video_is_drawn_as_a_video(inside, trained, tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / 'v.mp4'),
                             cv2.VideoWriter_fourcc(*'mp4v'), 5, (96, 64))
    for level in range(3):
        writer.write(np.full((64, 96, 3), 80 * level, np.uint8))
    writer.release()
    printed = infer(inside, trained, 'segmentation', 'v.mp4', '--out', 'out',
                    '--batch-size', 2)
    assert 'v.mp4#2: ' in printed and '3 predicted' in printed
    video = cv2.VideoCapture('out/images/v.mp4.mp4')
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 3
    assert video.get(cv2.CAP_PROP_FPS) == 5
    assert len(list(Path('out/label_maps').iterdir())) == 3


def test_unreadable_images_are_skipped(inside, trained, images, tmp_path):
    (tmp_path / 'bad.jpg').write_bytes(
        (images / 'more/b.jpg').read_bytes()[:300])
    printed = infer(inside, trained, 'classification', tmp_path / 'bad.jpg',
                    images / 'a.png', status=1)
    assert 'skipped: ' in printed and '1 predicted, 1 skipped' in printed


def test_mistakes_are_told(refused, trained, images, tmp_path):
    config, checkpoint = trained('classification')
    other = trained('segmentation')[1]
    for argv, says in (
            ((config, checkpoint, tmp_path / 'none'), 'matches no file'),
            ((config, checkpoint, images, '--device', 'cuda:99'),
             '--device cuda:99 cannot be used'),
            ((config, other, images), 'does not fit the model'),
            ((config, checkpoint, images, '--out', images), 'not empty'),
            ((config, checkpoint, images, '--batch-size', 0), 'at least 1')):
        refused('infer', *argv, says=[says])


def test_class_names_are_never_those_of_another_data_set(
        refused, tool, trained, images, tmp_path):
    config, checkpoint = trained('segmentation')
    content = torch.load(checkpoint, weights_only=True)
    torch.save(dict(state_dict=content['state_dict']), tmp_path / 'bare.pth')
    without = tmp_path / 'without.py'
    without.write_text(
        f"_base_ = '{config}'\n"
        "test_dataloader = dict(dataset=dict(metainfo=dict(_delete_=True)))")
    argv = without, tmp_path / 'bare.pth', images / 'a.png'
    refused('infer', *argv, says=['names of the classes', '--classes'])
    (tmp_path / 'names').write_text('a\nb\nc\n')
    refused('infer', *argv, '--classes', tmp_path / 'names',
            says=['num_classes is 5', '3 class names'])
    (tmp_path / 'names').write_text('a\nb\nc\nd\ne\n')
    status, log = tool('infer', *argv, '--classes', tmp_path / 'names')
    assert status == 0 and '1 predicted' in log, log


# ------------------------------------------------- the libraries' own APIs


def test_apis_of_mmpretrain(trained, images):
    from mmpretrain import ImageClassificationInferencer, get_model
    config, checkpoint = map(str, trained('classification'))
    files = [str(images / 'a.png'), str(images / 'more/b.jpg')]
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        inferencer = ImageClassificationInferencer(
            config, pretrained=checkpoint, device='cpu')
        found = inferencer(files, batch_size=2)
        assert [one['pred_class'] for one in found] == [
            inferencer.classes[one['pred_label']] for one in found]
        model = get_model(config, pretrained=checkpoint)
        again = ImageClassificationInferencer(model)(files[0])[0]
    np.testing.assert_allclose(again['pred_scores'], found[0]['pred_scores'],
                               rtol=1e-5, atol=1e-6)
    assert model.extract_feat(torch.zeros(1, 3, 64, 64))[0].shape == (1, 24)


def test_models_of_mmpretrain_by_name(monkeypatch):
    from mmpretrain import ModelHub, get_model, list_models
    ModelHub._register_mmpretrain_models()
    monkeypatch.setattr(ModelHub, '_models_dict', dict(ModelHub._models_dict))
    ModelHub.register_model_index(ROOT / 'model-index.yml', ROOT)
    name = 'hpvit-tiny-avg-mae_8xb128-100e_in1k'
    assert name in list_models('hpvit*')
    model = get_model(name, backbone=dict(init_cfg=None))
    assert model.backbone.embed_dims == 192


def test_apis_of_mmdet(trained, images):
    from mmdet.apis import DetInferencer, inference_detector, init_detector
    config, checkpoint = map(str, trained('detection'))
    files = [str(images / 'a.png'), str(images / 'more/b.jpg')]
    with DefaultScope.overwrite_default_scope('mmdet'):
        inferencer = DetInferencer(config, checkpoint, device='cpu')
        found = inferencer(files, batch_size=2)['predictions']
        model = init_detector(config, checkpoint, device='cpu')
        again = inference_detector(model, files)
        alone = DetInferencer(weights=checkpoint, device='cpu')(files[0])
    assert inferencer.model.dataset_meta['classes'][0] == 'zero'
    assert model.dataset_meta['classes'][0] == 'zero'
    assert alone['predictions'][0]['labels'] == \
        again[0].pred_instances.labels.tolist()
    assert len(found) == len(again) == 2


def test_apis_of_mmseg(trained, images, tmp_path):
    from mmseg.apis import (MMSegInferencer, inference_model, init_model,
                            show_result_pyplot)
    config, checkpoint = map(str, trained('segmentation'))
    files = [str(images / 'a.png'), str(images / 'more/a.png')]
    with DefaultScope.overwrite_default_scope('mmseg'):
        inferencer = MMSegInferencer(config, checkpoint, device='cpu')
        found = inferencer(files, batch_size=2)['predictions']
        model = init_model(config, checkpoint, device='cpu')
        again = inference_model(model, files)
        show_result_pyplot(model, files[0], again[0], show=False,
                           out_file=str(tmp_path / 'shown.png'))
    assert model.dataset_meta['classes'][-1] == 'digit'
    for labels, sample in zip(found, again):
        assert (labels == sample.pred_sem_seg.data[0].numpy()).mean() > 0.999
    assert cv2.imread(str(tmp_path / 'shown.png')) is not None
