"""Data sets that a run would misread are refused; their neighbours are not.

Each test has an input of a few kilobytes in the real format, and the nearest
input that is valid in the host library.
"""
import json
from contextlib import nullcontext

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, DefaultScope
from PIL import Image
from torch import nn

from hpvit_mm.datasets.rules.images import (decode, orientation_of,
                                            size_in_run)
from hpvit_mm.engine.checks.datasets import check_dataset, check_samples
from hpvit_mm.errors import UserError

HEIGHT, WIDTH = 24, 32
VALID = nullcontext()


def refused(match):
    return pytest.raises(UserError, match=f'(?s){match}')


def picture(path, size=(WIDTH, HEIGHT), mode='RGB', orientation=None):
    """Write an image that looks different in every orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    pixels = np.zeros((height, width), np.uint8)
    pixels[:height // 2, :width // 3] = 200
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(pixels).convert(mode).save(path, exif=exif)


def check(scope, loaders, metric=None, model=None, **more):
    """Check the last of some loaders, given as data sets by their names."""
    cfg = Config(dict(
        {f'{name}_dataloader': dict(dataset=dict(one))
         for name, one in loaders.items()},
        **{f'{name}_evaluator': metric for name in loaders if metric},
        **more))
    with DefaultScope.overwrite_default_scope(scope):
        check_dataset(cfg, f'{list(loaders)[-1]}_dataloader', [], model)


# ---------------------------------------------------------- other formats


@pytest.mark.parametrize('label, number, refusal', [
    (0, 2, VALID), (1, 2, VALID), ([0, 1], 2, VALID), (7, None, VALID),
    (2, 2, refused(r'1 of 1 samples .*not 0 to 1, first .*a.png \(2\)')),
    (-1, 2, refused('a.png')), ([0, 2], 2, refused('a.png'))])
def test_json_of_mmpretrain(label, number, refusal, tmp_path):
    picture(tmp_path / 'a.png')
    metainfo = dict(classes=['cat', 'dog'][:number]) if number else {}
    (tmp_path / 'a.json').write_text(json.dumps(dict(
        metainfo=metainfo,
        data_list=[dict(img_path='a.png', gt_label=label)])))
    with refusal:
        check('mmpretrain', dict(train=dict(
            type='BaseDataset', ann_file='a.json',
            data_root=str(tmp_path))))


@pytest.mark.parametrize('classes, refusal', [
    (('cat', 'dog'), VALID), (('Cat', 'dog'), refused('no object of any'))])
@pytest.mark.parametrize('kind', ['train', 'val'])
def test_voc(classes, refusal, kind, tmp_path):
    picture(tmp_path / 'JPEGImages/a.jpg')
    (tmp_path / 'Annotations').mkdir()
    (tmp_path / 'Annotations/a.xml').write_text(
        f'<annotation><size><width>{WIDTH}</width><height>{HEIGHT}</height>'
        '</size><object><name>cat</name><difficult>0</difficult><bndbox>'
        '<xmin>4</xmin><ymin>4</ymin><xmax>14</xmax><ymax>16</ymax></bndbox>'
        '</object></annotation>')
    (tmp_path / 'a.txt').write_text('a')
    with refusal:
        check('mmdet', {kind: dict(
            type='VOCDataset', ann_file=str(tmp_path / 'a.txt'),
            data_root=str(tmp_path), data_prefix=dict(sub_data_root=''),
            metainfo=dict(classes=classes))}, dict(type='VOCMetric'))


# -------------------------------------------------------------- detection


def thing(**changes):
    """One object in COCO's format."""
    box = [4., 4., 10., 12.]
    return dict(dict(
        id=1, image_id=1, category_id=1, bbox=box, area=120., iscrowd=0,
        segmentation=[[4, 4, 14, 4, 14, 16, 4, 16]]), **changes)


def without(key, **changes):
    one = thing(**changes)
    del one[key]
    return one


CATEGORIES = [dict(id=1, name='cat'), dict(id=2, name='dog')]


@pytest.fixture
def coco(tmp_path):
    """Checks a data set of one image in COCO's format."""

    def call(objects, categories=CATEGORIES, kind='train',
             classes=('cat', 'dog'), image=(), masks=True, metric=None,
             orientation=None, pipeline=None, size=(WIDTH, HEIGHT), **more):
        picture(tmp_path / 'images/a.jpg', size, orientation=orientation)
        file = tmp_path / 'a.json'
        content = dict(
            images=[dict(dict(id=1, file_name='a.jpg', width=size[0],
                              height=size[1]), **dict(image))],
            categories=categories)
        if objects is not None:
            content['annotations'] = objects
        file.write_text(json.dumps(content))
        dataset = dict(
            type='CocoDataset', ann_file=str(file),
            data_prefix=dict(img=str(tmp_path / 'images')),
            metainfo=dict(classes=classes), test_mode=kind != 'train',
            pipeline=pipeline or [
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations', with_bbox=True, with_mask=masks),
                dict(type='PackDetInputs')])
        if kind == 'train':
            dataset['filter_cfg'] = dict(filter_empty_gt=True, min_size=16)
        if kind != 'train' and metric is None:
            metric = dict(type='CocoMetric', ann_file=str(file),
                          metric=['bbox', 'segm'] if masks else 'bbox')
        check('mmdet', {kind: dict(dataset, **more)}, metric)

    return call


REVERSED = [CATEGORIES[1], CATEGORIES[0]]
GROUPED = [dict(id=0, name='cat'), *CATEGORIES]


@pytest.mark.parametrize('categories, classes, expected', [
    (CATEGORIES, ('cat', 'dog'), VALID),
    # mmdet numbers the classes in the order of the file
    (REVERSED, ('cat', 'dog'), refused(
        r'the classes \(cat, dog\) are in another order than the categories '
        r'of .*a.json \(dog, cat\).*list metainfo.classes in the order')),
    (REVERSED, ('dog', 'cat'), VALID),
    # a choice of the categories, in their order
    ([*CATEGORIES, dict(id=7, name='cow')], ('cat', 'cow'), VALID),
    # the grouping category of an export tool
    (GROUPED, ('cat', 'dog'), refused('several categories with the name cat '
                                      r'\(ids 0, 1\).*delete or rename')),
    ([dict(id=0, name='pets'), *CATEGORIES], ('cat', 'dog'), VALID),
    ([*GROUPED, dict(id=8, name='dog')], ('dog', ), refused('name dog')),
    (GROUPED, ('dog', ), VALID),
    ([*CATEGORIES, dict(CATEGORIES[0], name='cow')], ('cat', 'dog'),
     refused('several categories with one id .*cow')),
])
@pytest.mark.parametrize('kind', ['train', 'val'])
def test_categories(categories, classes, expected, kind, coco):
    with expected:
        coco([thing(), thing(id=2, category_id=2)], categories, kind, classes)


def test_mmdet_numbers_classes_in_the_order_of_the_file(tmp_path):
    """The reason for the rule: it can go when this changes."""
    from mmdet.datasets import CocoDataset
    picture(tmp_path / 'a.jpg')
    (tmp_path / 'a.json').write_text(json.dumps(dict(
        images=[dict(id=1, file_name='a.jpg', width=WIDTH, height=HEIGHT)],
        categories=REVERSED, annotations=[thing()])))
    dataset = CocoDataset(
        ann_file='a.json', data_root=str(tmp_path), data_prefix=dict(img=''),
        metainfo=dict(classes=('cat', 'dog')))
    label = dataset.get_data_info(0)['instances'][0]['bbox_label']
    assert dataset.metainfo['classes'][label] == 'dog'  # and it is a cat


RLE = dict(size=[HEIGHT, WIDTH], counts=[100, 8, HEIGHT * WIDTH - 108])
OTHER_RLE = dict(size=[WIDTH, HEIGHT], counts=RLE['counts'])
LINE = [[4, 4, 14, 16]]
BOTH = ('train', 'val')


@pytest.mark.parametrize('one, says, kinds, masks', [
    (without('segmentation'), 'have no segmentation, first id 1; add masks',
     BOTH, True),
    (without('segmentation'), None, BOTH, False),
    (thing(segmentation=[]), 'have no segmentation', BOTH, True),
    (without('area'), 'have no area', BOTH, True),
    (without('bbox'), 'have no bbox', BOTH, True),
    (without('category_id'), 'have no category_id', BOTH, True),
    (thing(category_id=9), r'unknown category_id, first id 1 \(9\)', BOTH,
     True),
    (thing(category_id='1'), r"unknown category_id, first id 1 \('1'\)", BOTH,
     True),
    (thing(image_id=[1]), 'an image_id that is not a number', BOTH, True),
    (thing(bbox=['4', '4', '10', '12']), 'no bbox of four numbers', BOTH,
     True),
    (thing(bbox=[4, 4, None, 12]), 'no bbox of four numbers', BOTH, True),
    (thing(bbox=[float('nan'), 4, 10, 12]), 'no bbox of four numbers', BOTH,
     True),
    (thing(area='9'), 'an area that is not a number', BOTH, True),
    (thing(segmentation=[[[4, 4], [14, 4], [14, 16]]]),
     'a polygon that is not a list of numbers', BOTH, True),
    (thing(segmentation=[[4, 4, 14, 4, 14, 16, 9]]), None, ['val'], True),
    (thing(segmentation=5), 'have no segmentation', BOTH, True),
    (thing(segmentation=dict(size=[HEIGHT, WIDTH], counts=None)),
     'counts do not sum', BOTH, True),
    (thing(segmentation=dict(size=None, counts=[1])), 'RLE mask of another',
     BOTH, True),
    (thing(segmentation=dict(size=[HEIGHT, WIDTH], counts=[10, 20])),
     'counts do not sum', BOTH, True),
    (thing(image_id=9), 'have an unknown image_id', BOTH, True),
    # pycocotools needs it, mmdet's data set does not
    (without('iscrowd'), 'have no iscrowd', ['val'], True),
    (without('iscrowd'), None, ['train'], True),
    # mmdet ignores such an object, pycocotools takes it for a box
    (thing(segmentation=LINE), 'fewer than six numbers', ['val'], True),
    (thing(segmentation=LINE), 'no object of any class', ['train'], True),
    (thing(segmentation=[*LINE, *thing()['segmentation']]), None, ['train'],
     True),
    (thing(segmentation=LINE), None, ['val'], False),
    (thing(segmentation=[4, 4, 14, 4, 14, 16]), 'not in a list of polygons',
     BOTH, True),
    (thing(segmentation=OTHER_RLE), 'RLE mask of another size', BOTH, True),
    (thing(segmentation=OTHER_RLE), None, BOTH, False),
    (thing(segmentation=RLE), None, BOTH, True),
    (thing(iscrowd=1), 'has no object of any class, iscrowd', BOTH, True),
    (thing(ignore=1), 'has no object of any class', ['train'], True),
    (thing(bbox=[40, 40, 10, 10]), 'has no object of any class', ['train'],
     True),
])
def test_objects(one, says, kinds, masks, coco):
    for kind in kinds:
        with refused(says) if says else VALID:
            coco([one, thing(id=2)] if says and 'no object' not in says
                 else [one], kind=kind, masks=masks)


def test_objects_to_ignore_beside_others(coco):
    coco([thing(), thing(id=2, iscrowd=1, segmentation=RLE),
          thing(id=3, bbox=[40, 40, 10, 10], segmentation=LINE)])


@pytest.mark.parametrize('box, beyond', [
    ([4., 4., 10., 12.], False), ([25., 4., 7.6, 20.], False),
    ([20., 4., 30., 16.], True),  # x, y, x, y
    ([-9., 4., 12., 12.], True)])
def test_boxes_beyond_the_image(box, beyond, coco, capsys):
    """They may be meant; mmdet does not clip them."""
    coco([thing(), thing(id=2, bbox=box)])
    assert ('1 of 2 boxes of ' in capsys.readouterr().err) is beyond


@pytest.mark.parametrize('image, says', [
    (dict(width=None), 'images of .*a.json have no width, first id 1'),
    (dict(height=None), 'have no height'),
    (dict(file_name=None), 'have no file_name'),
    (dict(width='32'), 'width or height that is not a number'),
    (dict(id=[1]), 'have an id that is not a number or text'),
    (dict(file_name=3), 'have a file_name that is not text'),
    (dict(width=WIDTH - 8), 'have another size than their image, .*a.jpg '
     fr'\({WIDTH - 8} x {HEIGHT}, not {WIDTH} x {HEIGHT}\)'),
    (dict(file_name='b.jpg'), 'b.jpg does not exist'),
])
def test_images_of_coco(image, says, coco):
    for kind in BOTH:
        with refused(says):
            coco([thing()], image=image, kind=kind)


def test_an_empty_set_of_training(coco):
    with refused(r'filter_cfg drops all 1 images .*set min_size \(now 99\)'):
        coco([thing()], filter_cfg=dict(min_size=99))
    coco([thing()], filter_cfg=dict(min_size=16))


@pytest.mark.parametrize('text, says', [
    ('{', 'is not a COCO file'), ('[]', 'it has no list of images'),
    ('{"images": []}', r'is not a COCO file \(it has no list of categories'),
    ('{"images": [], "categories": []}', 'lists no images')])
def test_no_coco_file(text, says, tmp_path):
    (tmp_path / 'a.json').write_text(text)
    with refused(says):
        check('mmdet', dict(train=dict(
            type='CocoDataset', ann_file='a.json', data_root=str(tmp_path))))


def test_coco_without_annotations(coco, tmp_path):
    for kind in BOTH:
        with refused('has no annotations; .*how to predict without labels'):
            coco(None, kind=kind)
    coco(None, kind='test', metric=dict(
        type='CocoMetric', ann_file=str(tmp_path / 'a.json'),
        format_only=True, outfile_prefix='x'))


def test_panoptic_files_are_left_to_the_run(tmp_path):
    """Their objects are segments, with other keys."""
    picture(tmp_path / 'a.jpg')
    (tmp_path / 'a.json').write_text(json.dumps(dict(
        images=[dict(id=1, file_name='a.jpg', width=WIDTH, height=HEIGHT)],
        categories=[dict(id=1, name='cat', isthing=1)],
        annotations=[dict(image_id=1, file_name='a.png',
                          segments_info=[])])))
    check('mmdet', dict(train=dict(
        type='CocoPanopticDataset', ann_file='a.json',
        data_root=str(tmp_path), data_prefix=dict(img='', seg=''),
        metainfo=dict(classes=('cat', ), thing_classes=('cat', ),
                      stuff_classes=()))))


@pytest.mark.parametrize('orientation', range(2, 9))
def test_orientation_of_coco(orientation, coco, capsys):
    """The run rotates the image; boxes may be of the stored pixels."""
    swapped = orientation > 4
    with refused(r'rotated by its EXIF orientation, first .*a.jpg .*'
                 'color_ignore_orientation') if swapped else VALID:
        coco([thing()], orientation=orientation)
    if not swapped:  # nobody can tell by the size
        assert 'warning: ' in capsys.readouterr().err
    # annotated as the image is shown
    size = dict(width=HEIGHT, height=WIDTH) if swapped else {}
    coco([thing()], orientation=orientation, image=size)
    capsys.readouterr()
    # loaded as it is stored
    coco([thing()], orientation=orientation, pipeline=[
        dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='PackDetInputs')])
    assert not capsys.readouterr().err


def test_an_image_that_becomes_empty(coco):
    resize = dict(type='Resize', scale=(100, 100), keep_ratio=True)
    pipeline = [dict(type='LoadImageFromFile'), resize,
                dict(type='LoadAnnotations', with_bbox=True),
                dict(type='PackDetInputs')]
    one = thing(bbox=[4, 0, 10, 1])
    wide = dict(size=(1000, 1), filter_cfg=dict(min_size=1))
    with refused(r'pipeline cannot prepare .*a.jpg \(1000 x 1 pixels; .*'
                 'take the file out'):
        coco([one], pipeline=pipeline, **wide)
    coco([thing(bbox=[4, 0, 10, 10])], pipeline=pipeline, size=(1000, 10),
         filter_cfg=dict(min_size=1))


# --------------------------------------------------------- classification


@pytest.fixture
def folders(tmp_path):
    """Checks class folders {split: {class: file}}."""

    def call(splits, classes=None, suffix='.png', **more):
        loaders = {}
        for split, names in splits.items():
            for name in names:
                picture(tmp_path / split / name / f'a{suffix}')
            loaders[split] = dict(dict(
                type='CustomDataset', data_root=str(tmp_path),
                data_prefix=split, metainfo=dict(classes=classes),
                pipeline=[dict(type='LoadImageFromFile'),
                          dict(type='PackInputs')]), **more)
            if classes is None:
                del loaders[split]['metainfo']
        check('mmpretrain', loaders)

    return call


@pytest.mark.parametrize('classes, expected', [
    (('cat', 'dog'), VALID), (('tabby', 'hound'), VALID),
    (('Cat', 'Dog'), VALID), (('Dog', 'Cat'), refused('another order')),
    ((0, 1), VALID),
    (('dog', 'cat'), refused(
        r'the classes \(dog, cat\) are in another order than the folders .*'
        r'\(cat, dog\).*alphabetical'))])
def test_class_folders(classes, expected, folders):
    with expected:
        folders(dict(train=('cat', 'dog')), classes)


def test_folders_of_both_cases(folders):
    with refused('another order'):
        folders(dict(train=('A', 'B', 'a', 'b')), ('a', 'b', 'A', 'B'))


def test_an_unusual_name_of_a_class(folders):
    folders(dict(train=('__background__', 'cat')), ('__background__', 'cat'))


@pytest.mark.parametrize('train, expected', [
    (('cat', 'dog'), VALID),
    (('bird', 'cat'), refused(
        r'the class folders of val_dataloader.dataset \(cat, dog\) are not '
        r'those of train_dataloader.dataset \(bird, cat\)'))])
def test_folders_of_training_and_validation(train, expected, folders):
    with expected:
        folders(dict(train=train, val=('cat', 'dog')))


def test_classes_of_training_and_validation(tmp_path):
    picture(tmp_path / 'a.png')
    (tmp_path / 'a.txt').write_text('a.png 0\n')
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
    one, other, strange = (dict(
        type='CustomDataset', data_root=str(tmp_path), ann_file='a.txt',
        metainfo=dict(classes=classes), pipeline=pipeline)
        for classes in (('cat', 'dog'), ('dog', 'cat'), ('lynx', 'wolf')))
    with refused('the classes of val_dataloader.* same order'):
        check('mmpretrain', dict(train=one, val=other))
    for valid in (one, strange):  # other names may mean the same
        check('mmpretrain', dict(train=one, val=valid))
    # two sets that are trained together number them alike
    with refused('the classes of train_dataloader.dataset.datasets.1'):
        check('mmpretrain', dict(train=dict(
            type='ConcatDataset', datasets=[one, other])))
    # the training data need not be where the test is
    check('mmpretrain', dict(train=dict(one, data_root='/none'), val=other))


def test_hidden_folders(folders, tmp_path):
    (tmp_path / 'train/.ipynb_checkpoints').mkdir(parents=True)
    with refused('the folder .ipynb_checkpoints, which counts as a class; '
                 'delete it'):
        folders(dict(train=('cat', 'dog')))
    with refused('val holds the folder __MACOSX'):  # before train is compared
        folders(dict(train=('cat', 'dog'), val=('__MACOSX', 'cat', 'dog')))


@pytest.mark.parametrize('suffix, remedy', [
    ('.webp', r"add extensions=\['.webp'\]"), ('.gif', 'convert them to PNG')])
def test_extensions(suffix, remedy, folders):
    with refused(fr'cat holds no images but \*{suffix}, .*{remedy}'):
        folders(dict(train=('cat', 'dog')), suffix=suffix)


def test_webp_with_its_extension(folders):
    folders(dict(train=('cat', 'dog')), suffix='.webp', extensions=['.webp'])


def test_an_empty_class_is_the_users_business(folders, tmp_path):
    (tmp_path / 'train/cow').mkdir(parents=True)
    (tmp_path / 'train/cow/README.txt').touch()
    folders(dict(train=('cat', 'dog')))


@pytest.mark.parametrize('line, says', [
    ('a.png 1', None), ('a.png 2', r'not 0 to 1, first .*a.png \(2\)'),
    ('a.png -1', r'\(-1\)'), ('a.png', r'first .*a.png \(none\)'),
    ('', 'a.txt is empty'), ('b.png 0', 'b.png does not exist')])
def test_lists(line, says, tmp_path):
    picture(tmp_path / 'a.png')
    (tmp_path / 'a.txt').write_text(line + '\n')
    with refused(says) if says else VALID:
        check('mmpretrain', dict(train=dict(
            type='CustomDataset', data_root=str(tmp_path), ann_file='a.txt',
            metainfo=dict(classes=('cat', 'dog')), pipeline=[
                dict(type='LoadImageFromFile'), dict(type='PackInputs')])))


def test_the_number_of_folders(folders):
    with refused(r'3 classes are expected, but .* holds 2 folders \(cat, dog'):
        folders(dict(train=('cat', 'dog')), ('cat', 'cow', 'dog'))


def test_images_without_labels(tmp_path):
    picture(tmp_path / 'a.png')
    dataset = dict(
        type='CustomDataset', data_root=str(tmp_path), with_label=False,
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')])
    with refused('has no labels .*how to predict without labels'):
        check('mmpretrain', dict(test=dataset), dict(type='Accuracy'))


# ----------------------------------------------------------- segmentation


@pytest.fixture
def label_map(tmp_path):
    """Checks an image and its label map."""

    def call(labels, classes=('a', 'b'), kind='train', model=None, load=(),
             orientation=None, more_transforms=(), metric=None, prefix=None,
             backend='pillow', **more):
        picture(tmp_path / 'images/a.jpg', orientation=orientation)
        folder = tmp_path / 'labels'
        folder.mkdir(exist_ok=True)
        if labels is not None:
            Image.fromarray(np.asarray(labels)).save(folder / 'a.png')
        dataset = dict(
            type='BaseSegDataset', data_root=str(tmp_path),
            data_prefix=prefix or dict(img_path='images',
                                       seg_map_path='labels'),
            metainfo=dict(classes=classes), pipeline=[
                dict(type='LoadImageFromFile', **dict(load)),
                *([dict(type='LoadAnnotations', imdecode_backend=backend)]
                  if prefix is None else []),
                *more_transforms, dict(type='PackSegInputs')])
        check('mmseg', {kind: dict(dataset, **more)}, metric, model)

    return call


def ids(*values, size=(WIDTH, HEIGHT), dtype=np.uint8):
    """A label map with some ids."""
    return np.resize(np.array(values, dtype), size[::-1])


MAP = dict(type='hpvit_mm.MapLabels', mapping={11: 255})


@pytest.mark.parametrize('labels, expected, options', [
    (ids(0, 1, 255), VALID, {}),
    (ids(0, 1, dtype=np.uint16), VALID, {}),
    (ids(0, 1, dtype=bool), VALID, {}),
    (ids(0, 7), refused(r'hold other ids than 0 to 1 \(the 2 classes\) and '
                        r'255 \(ignored.*first .*a.png \(7\)'), {}),
    (ids(0, 1, 256, dtype=np.uint16), refused(r'a.png \(256\)'), {}),
    (ids(0, 1, size=(WIDTH // 2, HEIGHT // 2)), refused(
        'another size than their image, first .*a.png '
        fr'\({WIDTH // 2} x {HEIGHT // 2}, not {WIDTH} x {HEIGHT}\)'), {}),
    (ids(0, 1, size=(HEIGHT, WIDTH)), refused('another size'), {}),
    (None, refused('label maps .* are missing, first .*a.png'), {}),
    # two classes as black and white
    (ids(0, 255), refused('hold only the ids 0, 255, of which one is a class '
                          r'.*MapLabels.*\{255: 1\}'), {}),
    (ids(0, 255), refused('none is a class .*reduce_zero_label is True'),
     dict(reduce_zero_label=True)),
    (ids(257, 514, dtype=np.uint16), refused('ids of 8 bits'), {}),
    (ids(0, 255), VALID, dict(more_transforms=[
        dict(type='hpvit_mm.MapLabels', mapping={255: 1})])),
    (ids(0), refused('of which one is a class'), {}),
    (ids(0), VALID, dict(kind='val')),  # of a few images it may be so
    (ids(0), VALID, dict(classes=('a', ))),
    # CamVid ignores 11
    (ids(*range(12)), refused(r'\(11\).*MapLabels.*\{11: 255\}'),
     dict(classes=tuple('abcdefghijk'))),
    (ids(*range(12)), VALID, dict(classes=tuple('abcdefghijk'),
                                  more_transforms=[MAP])),
    (ids(0, 1, 2), VALID, dict(reduce_zero_label=True)),
    (ids(0, 1, 2, 3), refused(r'1 to 2 \(the 2 classes\) and 0, 255'),
     dict(reduce_zero_label=True)),
])
def test_label_maps(labels, expected, options, label_map):
    with expected:
        label_map(labels, **options)


def test_label_maps_with_a_palette(label_map, tmp_path):
    """The ids count, not the colours."""
    (tmp_path / 'labels').mkdir()
    image = Image.fromarray(ids(0, 1, 255), 'P')
    image.putpalette(list(range(256))[::-1] * 3)
    image.save(tmp_path / 'labels/a.png')
    label_map(None)
    with refused('as cv2 reads them, and hold no class ids.*a.png; omit '
                 'imdecode_backend of LoadAnnotations'):
        label_map(None, backend='cv2')


def test_images_of_many_bands(label_map, tmp_path):
    """Neither Pillow nor OpenCV reads them, but the pipeline does."""
    tifffile = pytest.importorskip('tifffile')
    (tmp_path / 'images').mkdir()
    tifffile.imwrite(tmp_path / 'images/a.tif', np.zeros(
        (HEIGHT, WIDTH, 6), np.uint16), photometric='minisblack',
        planarconfig='contig')
    load = dict(imdecode_backend='tifffile', color_type='unchanged')
    label_map(ids(0, 1), load=load, img_suffix='.tif')
    with refused('another size'):
        label_map(ids(0, 1, size=(WIDTH, 9)), load=load, img_suffix='.tif')


@TRANSFORMS.register_module()
class LoadNumbers(BaseTransform):
    """Labels in a file that is no image."""

    def transform(self, results):
        results['gt_seg_map'] = np.load(results['seg_map_path'])
        results['seg_fields'] = ['gt_seg_map']
        return results


def test_labels_that_are_no_images(label_map, tmp_path):
    (tmp_path / 'labels').mkdir()
    np.save(tmp_path / 'labels/a.npy', ids(0, 1))
    label_map(None, prefix=dict(img_path='images', seg_map_path='labels'),
              seg_map_suffix='.npy',
              more_transforms=[dict(type=LoadNumbers)])


def test_label_maps_that_hold_no_ids(label_map, tmp_path):
    (tmp_path / 'labels').mkdir()
    file = tmp_path / 'labels/a.png'
    Image.new('RGB', (WIDTH, HEIGHT)).save(file)
    with refused('are in colour and hold no class ids'):
        label_map(None)
    file.write_text('hello')
    with refused(r'cannot be read, first .*a.png \(no image\)'):
        label_map(None)


class Head(nn.Module):
    num_classes, ignore_index = 2, 7


def test_what_the_head_ignores(label_map):
    label_map(ids(0, 1, 7), model=Head())
    with refused(r'and 7 \(ignored.*\(255\)'):
        label_map(ids(0, 1, 255), model=Head())
    # a class that is not learnt, as the background may be
    head = Head()
    head.ignore_index = 0
    label_map(ids(0, 1), model=head)


@pytest.mark.parametrize('orientation', range(2, 9))
def test_orientation_of_label_maps(orientation, label_map, capsys):
    swapped = orientation > 4
    with refused('rotated by its EXIF orientation') if swapped else VALID:
        label_map(ids(0, 1), orientation=orientation)
    assert swapped or 'warning: ' in capsys.readouterr().err
    label_map(ids(0, 1, size=(HEIGHT, WIDTH) if swapped else (WIDTH, HEIGHT)),
              orientation=orientation)
    label_map(ids(0, 1), orientation=orientation,
              load=dict(color_type='color_ignore_orientation'))


def test_orientation_of_png(tmp_path):
    """The header tells what the decoder of the run does."""
    path = tmp_path / 'a.png'
    picture(path, orientation=6)
    height, width = decode(path).shape[:2]
    assert orientation_of(path) == 6
    assert size_in_run(path) == (width, height)


def test_segmentation_without_labels(label_map):
    prefix = dict(img_path='images')
    with refused('no label maps .*how to predict without labels is in docs'):
        label_map(None, prefix=prefix, kind='test',
                  metric=dict(type='IoUMetric'))
    label_map(None, prefix=prefix, kind='test', metric=dict(
        type='IoUMetric', format_only=True, output_dir='x'))


def test_images_with_another_suffix(label_map):
    with refused(r'no images \*.webp in .*, which holds \*.jpg; correct'):
        label_map(ids(0, 1), img_suffix='.webp')


def test_maplabels_maps():
    table = TRANSFORMS.build(dict(type='hpvit_mm.MapLabels',
                                  mapping={11: 255, 0: 1}))
    found = table(dict(gt_seg_map=np.array([[0, 1, 11, 255]], np.uint8)))
    assert found['gt_seg_map'].tolist() == [[1, 1, 255, 255]]
    with pytest.raises(ValueError, match='ids from 0 to 255'):
        TRANSFORMS.build(dict(type='hpvit_mm.MapLabels', mapping={256: 0}))


def test_a_wrong_mapping_is_named(label_map):
    with refused('ids from 0 to 255'):
        label_map(ids(0, 1), more_transforms=[
            dict(type='hpvit_mm.MapLabels', mapping={255: 300})])


# ----------------------------------------------------------------- images


@pytest.mark.parametrize('scale, load, expected', [
    (1, {}, refused('have 16 bits per value, of which loading drops .*'
                    "color_type='unchanged'")),
    (1, dict(color_type='unchanged'), VALID),
    (257, {}, VALID),  # of 8 bits
])
def test_sixteen_bits(scale, load, expected, label_map, tmp_path):
    pixels = np.arange(HEIGHT * WIDTH, dtype=np.uint16) % 256 * scale
    (tmp_path / 'images').mkdir()
    cv2.imwrite(str(tmp_path / 'images/a.png'), pixels.reshape(HEIGHT, WIDTH))
    with expected:
        label_map(ids(0, 1), load=load, img_suffix='.png')


class Model(nn.Module):

    def __init__(self, channels, mean=(1, 2, 3)):
        super().__init__()
        from mmseg.models import SegDataPreProcessor
        self.backbone = nn.Conv2d(channels, 2, 1)
        self.data_preprocessor = SegDataPreProcessor(
            mean=mean and (1, ), std=mean and (1, ))
        if mean:  # set here, as the forks refuse four channels themselves
            self.data_preprocessor.mean = torch.tensor(mean).view(-1, 1, 1)


@pytest.mark.parametrize('model, color_type, expected', [
    (Model(3), 'color', VALID),
    # the mean of three channels makes three of one
    (Model(3), 'grayscale', VALID),
    (Model(1, (1, )), 'grayscale', VALID),
    (Model(1, None), 'grayscale', VALID),
    (Model(3, None), 'grayscale', refused(
        r'comes to the model with 1 channels, but model.backbone takes 3')),
    (Model(4, (1, 2, 3, 4)), 'color', refused(
        r'loaded with 3 channels, but model.data_preprocessor.mean has 4')),
])
def test_channels(model, color_type, expected, label_map):
    with expected:
        label_map(ids(0, 1), model=model, load=dict(color_type=color_type))


def test_damaged_images_are_left_to_the_run(tmp_path):
    """It may replace them, see --max-corrupt."""
    (tmp_path / 'a.jpg').write_bytes(b'x')
    picture(tmp_path / 'b.jpg')

    class Set:
        pipeline = staticmethod(lambda sample: sample)

    damaged, good = (dict(img_path=str(tmp_path / name))
                     for name in ('a.jpg', 'b.jpg'))
    check_samples(Set(), 'x', [damaged, good], None)
    with refused('a.jpg cannot be read as an image, nor can others'):
        check_samples(Set(), 'x', [damaged], None)
