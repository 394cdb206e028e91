"""The hosts' own data set classes read the samples, and the odd cases."""
import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sample_data import ade20k, cityscapes, coco, imagenet
from sample_data.sources import load_digits

from hpvit_mm.datasets.rules.cityscapes import LABELS

SPLITS = ('train', 'val')


@pytest.fixture(scope='module')
def summary(sample_data):
    return json.loads((sample_data / 'samples.json').read_text())['sets']


# --------------------------------------------------------------- imagenet
@pytest.mark.parametrize('split', SPLITS)
def test_mmpretrain_reads_imagenet(sample_data, summary, split):
    from mmpretrain.datasets import ImageNet
    root = str(sample_data / 'imagenet')
    data = ImageNet(data_root=root, split=split,
                    metainfo=dict(classes=imagenet.CLASSES))
    assert len(data) == summary['imagenet'][split]
    assert data.CLASSES == imagenet.CLASSES
    _, truth = load_digits()
    record = json.loads((sample_data / 'provenance.json').read_text())
    labels = Counter()
    for i in range(len(data)):
        item = data.get_data_info(i)
        labels[item['gt_label']] += 1
        path = item['img_path'].split('samples/')[1]
        assert truth[record[path]['digits'][0]] == item['gt_label']
    assert set(labels) == set(range(10))
    assert max(labels.values()) - min(labels.values()) <= 1


def test_mmpretrain_agrees_without_the_list(sample_data):
    """Folders in alphabetical order give the labels of meta/train.txt."""
    from mmpretrain.datasets import CustomDataset, ImageNet
    meta = dict(classes=imagenet.CLASSES)
    root = sample_data / 'imagenet'
    listed = ImageNet(data_root=str(root), split='train', metainfo=meta)
    found = CustomDataset(data_root=str(root / 'train'), metainfo=meta)

    def pairs(data):
        return sorted((data.get_data_info(i)['img_path'].split('/')[-1],
                       data.get_data_info(i)['gt_label'])
                      for i in range(len(data)))

    assert pairs(listed) == pairs(found)


def test_default_loader_sees_odd_files_upright(sample_data):
    """Greyscale, CMYK, EXIF and PNG load as their plain images."""
    import mmcv
    lines = (sample_data / 'imagenet/meta/val.txt').read_text().splitlines()
    kinds = Counter()
    sizes = set()
    for index, line in enumerate(lines):
        path = sample_data / 'imagenet/val' / line.split()[0]
        kind = imagenet.kind_of(index)
        kinds[kind] += 1
        seen = mmcv.imread(str(path), channel_order='rgb').astype(int)
        sizes.add(seen.shape[:2])
        with Image.open(path) as image:
            mode, turn = image.mode, image.getexif().get(0x0112)
            stored = image.size[::-1]
            pixels = np.asarray(image.convert('RGB')).astype(int)
            assert image.format == ('PNG' if kind == 'png' else 'JPEG')
        assert mode == dict(grey='L', cmyk='CMYK', png='RGBA').get(
            kind, 'RGB')
        assert (turn == 6) == (kind == 'exif')
        if kind == 'exif':
            assert seen.shape[:2] == stored[::-1]
            pixels = np.rot90(pixels, -1)
        assert seen.shape == pixels.shape
        assert np.abs(seen - pixels).mean() < 4, kind
    assert set(kinds) == {'plain', 'grey', 'cmyk', 'exif', 'png'}
    assert any(h > w for h, w in sizes) and any(w > h for h, w in sizes)
    assert any(h % 2 or w % 2 for h, w in sizes)


# ------------------------------------------------------------------- coco
def instances(sample_data, split):
    path = sample_data / f'coco/annotations/instances_{split}2017.json'
    return json.loads(path.read_text())


@pytest.mark.parametrize('split', SPLITS)
def test_mmdet_reads_coco(sample_data, summary, split):
    from mmdet.datasets import CocoDataset
    truth = instances(sample_data, split)
    assert len(truth['images']) == summary['coco'][split]
    kept = {
        a['image_id'] for a in truth['annotations']
        if not a['iscrowd'] and min(a['bbox'][2:]) >= 1
    }
    kept &= {i['id'] for i in truth['images']
             if min(i['height'], i['width']) >= 32}
    data = CocoDataset(
        data_root=str(sample_data / 'coco'),
        ann_file=f'annotations/instances_{split}2017.json',
        data_prefix=dict(img=f'{split}2017/'),
        metainfo=dict(classes=coco.CLASSES), pipeline=[],
        filter_cfg=dict(filter_empty_gt=True, min_size=32))
    assert len(data) == len(kept) < len(truth['images'])
    assert data.cat_ids == list(coco.CATEGORY_IDS)
    by_image = Counter((a['image_id'], a['category_id'], a['iscrowd'])
                       for a in truth['annotations']
                       if min(a['bbox'][2:]) >= 1)
    for i in range(len(data)):
        item = data.get_data_info(i)
        with Image.open(item['img_path']) as image:
            assert image.size == (item['width'], item['height'])
        found = Counter(
            (item['img_id'], coco.CATEGORY_IDS[x['bbox_label']],
             x['ignore_flag']) for x in item['instances'])
        assert found == Counter({k: n for k, n in by_image.items()
                                 if k[0] == item['img_id']})


def test_labels_are_those_of_the_digits(sample_data):
    _, truth = load_digits()
    record = json.loads((sample_data / 'provenance.json').read_text())
    for split in SPLITS:
        data = instances(sample_data, split)
        for image in data['images']:
            name = f'coco/{split}2017/{image["file_name"]}'
            shown = {int(truth[d]) for d in record[name]['digits']}
            labelled = {
                coco.CATEGORY_IDS.index(a['category_id'])
                for a in data['annotations']
                if a['image_id'] == image['id'] and a['area'] > 1
            }
            assert labelled == shown


@pytest.mark.parametrize('split', SPLITS)
def test_truth_as_prediction_scores_one(sample_data, split, capsys):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    path = sample_data / f'coco/annotations/instances_{split}2017.json'
    truth = COCO(str(path))
    found = [
        dict(image_id=a['image_id'], category_id=a['category_id'], score=1.0,
             bbox=a['bbox'], segmentation=truth.annToRLE(a))
        for a in truth.anns.values() if not a['iscrowd'] and a['area'] > 1
    ]
    for kind in ('bbox', 'segm'):
        rated = truth
        if split == 'train':
            # nothing can find an object smaller than a pixel
            rated = COCO()
            rated.dataset = dict(truth.dataset, annotations=[
                a for a in truth.dataset['annotations'] if a['area'] > 1])
            rated.createIndex()
        result = COCOeval(rated, rated.loadRes([dict(f) for f in found]),
                          kind)
        result.evaluate()
        result.accumulate()
        result.summarize()
        assert result.stats[0] == pytest.approx(1)


@pytest.mark.parametrize('split', SPLITS)
def test_areas_and_boxes_are_those_of_the_polygons(sample_data, split):
    from pycocotools.coco import COCO
    path = sample_data / f'coco/annotations/instances_{split}2017.json'
    truth = COCO(str(path))
    for a in truth.anns.values():
        if a['area'] < 1:
            continue
        mask = truth.annToMask(a)
        assert mask.sum() == pytest.approx(a['area'], rel=0.12, abs=6)
        rows, cols = np.nonzero(mask)
        box = (cols.min(), rows.min(), np.ptp(cols) + 1, np.ptp(rows) + 1)
        assert np.abs(np.subtract(box, a['bbox'])).max() <= 1.6
        assert all(round(v, 2) == v for v in a['bbox'])


def test_coco_has_its_odd_cases(sample_data):
    ids = set()
    for split in SPLITS:
        data = instances(sample_data, split)
        annotations = data['annotations']
        order = [c['id'] for c in data['categories']]
        assert order == sorted(order) and order[-1] > len(order)
        assert {a['category_id'] for a in annotations} <= set(order)
        assert min(a['id'] for a in annotations) >= 1
        assert len({a['id'] for a in annotations}) == len(annotations)
        images = {i['id'] for i in data['images']}
        assert not images & ids
        ids |= images
        assert images - {a['image_id'] for a in annotations}  # empty ones
        assert all(len(i['file_name']) == 16 for i in data['images'])
        crowds = [a for a in annotations if a['iscrowd']]
        assert crowds
        assert all(isinstance(a['segmentation']['counts'], list)
                   for a in crowds)
        assert any(len(a['segmentation']) > 1 for a in annotations
                   if not a['iscrowd'])
        sides = [(i['height'], i['width']) for i in data['images']]
        assert any(h > w for h, w in sides) and any(w > h for h, w in sides)
        modes = Counter(
            Image.open(sample_data / f'coco/{split}2017' /
                       i['file_name']).mode for i in data['images'])
        assert set(modes) == {'RGB', 'L'}
        tiny = any(min(a['bbox'][2:]) < 1 for a in annotations)
        small = any(min(side) < 32 for side in sides)
        assert tiny == small == (split == 'train')


# -------------------------------------------------------------------- ade
def ade_folders(split):
    long_name = dict(train='training', val='validation')[split]
    return dict(img_path=f'images/{long_name}',
                seg_map_path=f'annotations/{long_name}')


@pytest.mark.parametrize('split', SPLITS)
def test_mmseg_reads_ade(sample_data, summary, split):
    from mmseg.datasets import ADE20KDataset, BaseSegDataset
    from mmseg.datasets.transforms import LoadAnnotations
    root = str(sample_data / 'ade/ADEChallengeData2016')
    # ADE20KDataset refuses class names that are not among its 150.
    data = BaseSegDataset(
        data_root=root, data_prefix=ade_folders(split), img_suffix='.jpg',
        seg_map_suffix='.png', reduce_zero_label=True, pipeline=[],
        metainfo=dict(classes=ade20k.CLASSES))
    original = ADE20KDataset(data_root=root, data_prefix=ade_folders(split),
                             pipeline=[])
    assert len(data) == len(original) == summary['ade20k'][split]
    load = LoadAnnotations()  # the data set says what becomes of 0
    present = set()
    for i in range(len(data)):
        item = data.get_data_info(i)
        with Image.open(item['seg_map_path']) as image:
            assert image.mode == 'L'
            stored = np.asarray(image)
        with Image.open(item['img_path']) as image:
            assert image.size == stored.shape[::-1]
        seen = load(dict(item, seg_fields=[]))['gt_seg_map']
        assert (seen == np.where(stored == 0, 255, stored - 1)).all()
        # enough is labelled, and something is ignored
        assert 0 < (stored == 0).mean() < 0.35
        present |= set(np.unique(seen).tolist())
    assert present == set(range(len(ade20k.CLASSES))) | {255}


def test_ade_has_its_odd_cases(sample_data):
    root = sample_data / 'ade/ADEChallengeData2016'
    for split in SPLITS:
        folder = root / ade_folders(split)['img_path']
        images = [Image.open(path) for path in sorted(folder.iterdir())]
        assert {image.mode for image in images} == {'RGB', 'L'}
        assert any(i.height > i.width for i in images)
        assert any(i.height < i.width for i in images)
        assert any(i.height % 2 or i.width % 2 for i in images)


# ------------------------------------------------------------- cityscapes
@pytest.mark.parametrize('split', SPLITS)
def test_mmseg_reads_cityscapes(sample_data, summary, split):
    from mmseg.datasets import CityscapesDataset
    data = CityscapesDataset(
        data_root=str(sample_data / 'cityscapes'), pipeline=[],
        data_prefix=dict(img_path=f'leftImg8bit/{split}',
                         seg_map_path=f'gtFine/{split}'))
    assert len(data) == summary['cityscapes'][split]
    classes = data.metainfo['classes']
    present = set()
    for i in range(len(data)):
        item = data.get_data_info(i)
        with Image.open(item['img_path']) as image:
            assert image.mode == 'RGB' and image.width == 2 * image.height
            size = image.size
        with Image.open(item['seg_map_path']) as image:
            assert image.mode == 'L' and image.size == size
            present |= set(np.unique(np.asarray(image)).tolist())
    assert present <= set(range(19)) | {255}
    assert {classes[i] for i in present - {255}} == set(cityscapes.CLASSES)
    cities = {path.name for path in
              (sample_data / f'cityscapes/gtFine/{split}').iterdir()}
    assert cities == set(cityscapes.CITIES[split])


def test_label_maps_are_drawn_from_the_polygons(sample_data):
    """As the original's tools do it, written here a second time."""
    ids = {name: i for name, i, _ in LABELS}
    train_ids = {i: t for _, i, t in LABELS}
    labels_seen = set()
    for path in sorted((sample_data / 'cityscapes').rglob('*.json')):
        data = json.loads(path.read_text())
        label_ids, label_train_ids = (
            np.asarray(Image.open(str(path).replace('polygons.json',
                                                    f'{kind}.png')))
            for kind in ('labelIds', 'labelTrainIds'))
        drawn = Image.new('L', (data['imgWidth'], data['imgHeight']), 0)
        for thing in data['objects']:
            name = thing['label']
            labels_seen.add(name)
            value = ids[name] if name in ids else ids[name[:-len('group')]]
            assert (np.array(thing['polygon']) >= 0).all()
            assert (np.array(thing['polygon']) <=
                    (data['imgWidth'] - 1, data['imgHeight'] - 1)).all()
            if value >= 0:
                ImageDraw.Draw(drawn).polygon(
                    [tuple(p) for p in thing['polygon']], fill=value)
        drawn = np.asarray(drawn)
        assert (drawn == label_ids).all()
        assert (np.vectorize(train_ids.get)(drawn) == label_train_ids).all()
        # something is ignored, and most is not
        assert 0 < (label_train_ids == 255).mean() < 0.25
    assert {'ego vehicle', 'out of roi', 'rectification border', 'ground',
            'license plate', 'cargroup'} <= labels_seen


def test_label_table_agrees_with_mmseg():
    from mmseg.datasets import CityscapesDataset
    rows = sorted((t, name) for name, _, t in LABELS
                  if 0 <= t < 255)
    assert [name for _, name in rows] == list(
        CityscapesDataset.METAINFO['classes'])
