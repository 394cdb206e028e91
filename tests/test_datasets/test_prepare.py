"""Preparing real data sets, tried on the samples, whole and damaged."""
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_data import imagenet as sample
from scipy.io import savemat

from hpvit_mm.datasets.prepare import coco, prepare
from hpvit_mm.datasets.prepare.imagenet import FIRST_LABELS
from hpvit_mm.datasets.rules.layouts import LAYOUTS, expected
from hpvit_mm.errors import UserError

FOLDERS = dict(imagenet='imagenet', coco='coco',
               ade20k='ade/ADEChallengeData2016', cityscapes='cityscapes')


@pytest.fixture
def copy(sample_data, tmp_path):
    """Copies a sample data set for a test to damage; returns its folder."""

    def make(name):
        target = tmp_path / LAYOUTS[name].root
        shutil.copytree(sample_data / FOLDERS[name], target)
        return target

    return make


def contents(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns)
            for path in folder.rglob('*') if path.is_file()}


def only(name, root, **kwargs):
    """The only problem of a data set."""
    report = prepare(name, root, subset=True, **kwargs)
    assert len(report.problems) == 1, report.lines()
    return report.problems[0]


@pytest.mark.parametrize('name', FOLDERS)
def test_samples_are_fine(name, sample_data):
    root = sample_data / FOLDERS[name]
    before = contents(root)
    report = prepare(name, root, subset=True)
    assert not report.problems and len(report.notes) == 4
    assert {kind for kind, _ in report.notes} == {'fine'}
    assert contents(root) == before


@pytest.mark.parametrize('name', sorted(set(FOLDERS) - {'coco'}))  # mmdet
def test_counts_are_the_originals(name, sample_data):
    report = prepare(name, sample_data / FOLDERS[name])
    for number in LAYOUTS[name].counts.values():
        assert any(f'has {number:,}; ' in line and '--subset' in line
                   for line in report.problems)


@pytest.mark.parametrize('name, pattern', [
    ('imagenet', 'meta/train.txt'),
    ('cityscapes', 'gtFine/*/*/*labelTrainIds.png')])
def test_derived_files_are_made_again(name, pattern, copy):
    root = copy(name)
    before = {path: path.read_bytes() for path in root.glob(pattern)}
    for path in before:
        path.unlink()
    report = prepare(name, root, subset=True)
    assert not report.problems
    assert any(kind == 'made' for kind, _ in report.notes)
    assert before == {path: path.read_bytes() for path in root.glob(pattern)}
    state = contents(root)
    assert all(kind == 'fine' for kind, _
               in prepare(name, root, subset=True).notes)
    assert contents(root) == state


def test_reports_end():
    from hpvit_mm.datasets.prepare.report import Report
    report = Report(LAYOUTS['coco'], Path('x'), False)
    for number in range(20):
        report.wrong(f'fault {number}', 'fix it')
    assert report.lines()[-2:] == ['  wrong  fault 14; fix it',
                                   '  and 5 more']


# ------------------------------------------------------------------ places


def test_no_folder(tmp_path):
    (tmp_path / 'train2017.zip').touch()
    with pytest.raises(UserError, match='no folder .*still packed: train2017'
                       r'.zip\).*/x/{train2017,val2017}/'):
        prepare('coco', tmp_path / 'x')


@pytest.mark.parametrize('name, other', [
    ('ade20k', '..'), ('ade20k', '../..'), ('ade20k', 'images'),
    ('ade20k', 'images/training'), ('coco', 'annotations'),
    ('cityscapes', 'gtFine'), ('imagenet', 'train')])
def test_wrong_level(name, other, copy):
    root = copy(name)
    other = os.path.normpath(root / other)
    assert f'{root} is; give that one' in only(name, other)


@pytest.mark.parametrize('name, place', [
    (name, place) for name, layout in LAYOUTS.items()
    for place in sorted({*layout.needs['train'], *layout.needs['val']})])
def test_missing_places(name, place, copy):
    root = copy(name)
    (root / 'packed.zip').touch()
    aside = root.parent / 'aside'
    (root / place).rename(aside)
    report = prepare(name, root, subset=True)
    assert report.problems == [
        f'missing: {place}; unpack it (still packed: packed.zip)']
    assert report.lines()[-1].strip() == LAYOUTS[name].tree[-1]
    (root / 'unpacked' / place).parent.mkdir(parents=True)
    aside.rename(root / 'unpacked' / place)
    assert f'unpacked/{place} is there; move' in only(name, root)


def test_one_level_too_deep(copy):
    root = copy('coco')
    (root / 'train2017').rename(root / 'aside')
    (root / 'train2017').mkdir()
    (root / 'aside').rename(root / 'train2017/train2017')
    assert only('coco', root).startswith('train2017/train2017 is one level')


@pytest.mark.parametrize('name, place', [
    ('ade20k', 'images/training'), ('cityscapes', 'leftImg8bit/val'),
    ('imagenet', 'val')])
def test_empty_folders(name, place, copy):
    root = copy(name)
    shutil.rmtree(root / place)
    (root / place).mkdir()
    assert any(line.startswith(f'{place}: 0 images') for line
               in prepare(name, root, subset=True).problems)


# ------------------------------------------------------------------ images


def first(root, pattern):
    return sorted(root.glob(pattern))[0]


IMAGES = [('imagenet', 'train/*/*.JPEG'), ('imagenet', 'val/*.JPEG'),
          ('coco', 'val2017/*.jpg'), ('ade20k', 'images/training/*.jpg'),
          ('cityscapes', 'leftImg8bit/val/*/*.png')]


@pytest.mark.parametrize('name, pattern', IMAGES)
def test_truncated_images(name, pattern, copy):
    root = copy(name)
    path = first(root, pattern)
    path.write_bytes(path.read_bytes()[:-200])
    assert re.search(f'1 of .* cannot be read, first {path.name}',
                     only(name, root))


def test_files_that_are_no_images(copy):
    root = copy('ade20k')
    path = first(root, 'images/training/*.jpg')
    path.write_text('<html>not found</html>')
    problems = prepare('ade20k', root, subset=True).problems
    assert all(f'first {path.name} (no image)' in line for line in problems)
    assert [line.split(',')[0] for line in problems] == [
        '1 of 20 images of images/training looked at cannot be read',
        '1 of 20 label maps of annotations/training have an image that cannot '
        'be read']


# ---------------------------------------------------------------- imagenet


def test_lists_are_compared(copy):
    root = copy('imagenet')
    with open(root / 'meta/train.txt', 'a') as file:
        file.write('n10000000/x.JPEG 3\n')
    text = (root / 'meta/train.txt').read_text()
    assert 'meta/train.txt is not what train/ says: 31 lines for 30 images, ' \
        'first other line: n10000000/x.JPEG 3' in only('imagenet', root)
    assert (root / 'meta/train.txt').read_text() == text
    # in another order it is the same list
    lines = text.splitlines()[:-1]
    (root / 'meta/train.txt').write_text('\n'.join(lines[::-1]))
    assert not prepare('imagenet', root, subset=True).problems


@pytest.mark.parametrize('edit, says', [
    (lambda text: text + 'x.JPEG 1\n', 'name no image of val, first x.JPEG'),
    (lambda text: text.split('\n', 1)[1], 'images of val are not in meta'),
    (lambda text: text + text.split('\n')[0], 'repeat a name'),
    (lambda text: text.replace('JPEG 9', 'JPEG 10'), r'0 to 9.*\(10\)'),
    (lambda text: text.replace('JPEG 9', 'JPEG'), '0 to 9')])
def test_list_of_val(edit, says, copy):
    root = copy('imagenet')
    path = root / 'meta/val.txt'
    path.write_text(edit(path.read_text()))
    assert any(re.search(says, line) for line
               in prepare('imagenet', root, subset=True).problems)


def test_val_without_labels(copy):
    root = copy('imagenet')
    (root / 'meta/val.txt').unlink()
    assert 'devkit' in only('imagenet', root)
    (root / 'ILSVRC2012_validation_ground_truth.txt').write_text('3\n')
    assert 'meta.mat beside it' in only('imagenet', root)
    assert not (root / 'meta/val.txt').exists()


def test_val_by_folders(copy):
    root = copy('imagenet')
    lines = (root / 'meta/val.txt').read_text().splitlines()
    for name, label in map(str.split, lines):
        folder = root / 'val' / sample.WNIDS[int(label)]
        folder.mkdir(exist_ok=True)
        (root / 'val' / name).rename(folder / name)
    assert 'meta/val.txt is not what val/ says' in only('imagenet', root)
    (root / 'meta/val.txt').unlink()
    assert not prepare('imagenet', root, subset=True).problems
    found = (root / 'meta/val.txt').read_text().splitlines()
    assert sorted(line.partition('/')[2] for line in found) == sorted(lines)
    (root / 'meta/val.txt').unlink()
    folder.rename(root / 'val/n99999999')
    assert 'no class of train' in only('imagenet', root)


def devkit(root, labels):
    """Numbers the classes backwards, as the devkit has its own order."""
    folder = root / 'ILSVRC2012_devkit_t12/data'
    folder.mkdir(parents=True)
    (folder / 'ILSVRC2012_validation_ground_truth.txt').write_text(
        ''.join(f'{10 - label}\n' for label in labels))
    synsets = np.zeros(10, [('ILSVRC2012_ID', 'O'), ('WNID', 'O')])
    synsets['ILSVRC2012_ID'] = list(range(1, 11))
    synsets['WNID'] = sample.WNIDS[::-1]
    savemat(folder / 'meta.mat', dict(synsets=synsets))


def kaggle(root, labels):
    rows = [f'ILSVRC2012_val_{index:08d},{sample.WNIDS[label]} 1 2 3 4\n'
            for index, label in enumerate(labels, 1)]
    (root / 'LOC_val_solution.csv').write_text(
        'ImageId,PredictionString\n' + ''.join(rows[::-1]))


@pytest.mark.parametrize('table', [devkit, kaggle])
def test_val_by_tables(table, copy):
    root = copy('imagenet')
    before = (root / 'meta/val.txt').read_text()
    (root / 'meta/val.txt').unlink()
    table(root, [int(line.split()[1]) for line in before.splitlines()])
    assert not prepare('imagenet', root, subset=True).problems
    assert (root / 'meta/val.txt').read_text() == before


def test_nothing_is_made_of_half(copy):
    root = copy('imagenet')
    (root / 'meta/train.txt').unlink()
    for path in (root / 'train/n10000003').iterdir():
        path.unlink()
    assert 'hold no images, first n10000003' in only('imagenet', root)
    assert not (root / 'meta/train.txt').exists()


def test_lists_that_cannot_be_written(copy):
    root = copy('imagenet')
    shutil.rmtree(root / 'meta')
    (root / 'meta').touch()
    assert any(re.match('meta/train.txt cannot be written; .* links', line)
               for line in prepare('imagenet', root, subset=True).problems)


def test_labels_in_the_order_of_the_devkit(sample_data):
    assert list(FIRST_LABELS)[4] == 'ILSVRC2012_val_00000005.JPEG'
    problems = prepare('imagenet', sample_data / 'imagenet').problems
    assert any('1.JPEG (0, not 65)' in line for line in problems)


# -------------------------------------------------------------------- coco


def edit_coco(root, edit):
    path = root / 'annotations/instances_train2017.json'
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def drop(key):
    return lambda one: one.pop(key)


@pytest.mark.parametrize('key, damage, says', [
    ('annotations', dict(image_id=7), 'have an unknown image_id, first id '),
    ('annotations', dict(category_id=4), 'have an unknown category_id'),
    ('annotations', dict(segmentation=[]), 'have no segmentation'),
    ('annotations', dict(segmentation=[[1, 2, 3, 4]]), 'fewer than six'),
    ('annotations', dict(segmentation=[1, 2, 3, 4, 5, 6]), 'not in a list of'),
    ('annotations', dict(segmentation=dict(size=[1, 1], counts=[1])),
     'RLE mask of another size'),
    ('annotations', dict(id=1), "another's id"),
    ('annotations', drop('iscrowd'), 'have no iscrowd'),
    ('annotations', drop('area'), 'have no area'),
    ('annotations', drop('bbox'), 'have no bbox'),
    ('images', dict(width=7), r'another size.*\(7 x '),
    ('images', drop('height'), 'have no height'),
    ('images', dict(file_name='x.jpg'), 'are not in train2017, .* x.jpg')])
def test_coco_faults(key, damage, says, copy):
    root = copy('coco')
    edit_coco(root, lambda content: damage(content[key][3]) if callable(
        damage) else content[key][3].update(damage))
    assert re.search(f'1 of .* {says}', only('coco', root))


def test_all_of_the_file_is_reported(copy):
    root = copy('coco')

    def edit(content):
        del content['annotations'][0]['area']
        content['annotations'][1]['segmentation'] = [[1, 2]]
        content['annotations'][2]['bbox'] = []

    edit_coco(root, edit)
    problems = prepare('coco', root, subset=True).problems
    assert len(problems) == 3


def test_all_are_crowds(copy):
    root = copy('coco')
    edit_coco(root, lambda content: [
        one.update(iscrowd=1) for one in content['annotations']])
    assert 'no object of any class' in only('coco', root)


def test_categories_with_one_name(copy):
    root = copy('coco')
    edit_coco(root, lambda content: content['categories'].insert(
        0, dict(id=0, name=content['categories'][0]['name'])))
    assert 'several categories with the name' in only('coco', root)


def test_categories_in_another_order(copy):
    root = copy('coco')
    edit_coco(root, lambda content: content['categories'].reverse())
    assert 'by which they are numbered' in only('coco', root)


@pytest.mark.parametrize('orientation', [3, 6])
def test_rotated_images(orientation, copy):
    """Orientations that swap the sides are wrong, others are noted."""
    root = copy('coco')
    path = first(root, 'train2017/*.jpg')
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(path) as image:
        image.resize((64, 48)).save(path, exif=exif)

    def edit(content):
        one, = (one for one in content['images']
                if one['file_name'] == path.name)
        one.update(width=64, height=48)

    edit_coco(root, edit)
    report = prepare('coco', root, subset=True)
    assert any(kind == 'look' and path.name in text
               and 'color_ignore_orientation' in text
               for kind, text in report.notes)
    assert len(report.problems) == (orientation == 6)
    if report.problems:
        assert re.search('rotated by its EXIF orientation.*64 x 48, not 48 x',
                         report.problems[0])


@pytest.mark.parametrize('text', ['{', '[]', '{"images": [1]}', '{}'])
def test_no_coco_file(text, copy):
    root = copy('coco')
    (root / 'annotations/instances_val2017.json').write_text(text)
    assert 'is not a COCO file' in only('coco', root)


def test_categories(sample_data):
    assert len(coco.IDS) == 80 and coco.IDS[-1] == 90
    problems = prepare('coco', sample_data / 'coco').problems
    assert sum("not COCO's 80" in line for line in problems) == 2


# ------------------------------------------------------------- label maps


def pixel(path, value):
    with Image.open(path) as image:
        image.load()
    image.putpixel((3, 3), value)
    image.save(path)


LABELS = [('ade20k', 'annotations/training/*.png'),
          ('cityscapes', 'gtFine/train/*/*labelIds.png'),
          ('cityscapes', 'gtFine/train/*/*labelTrainIds.png')]


@pytest.mark.parametrize('name, pattern', LABELS)
@pytest.mark.parametrize('damage, says', [
    (lambda path: pixel(path, 200), r'other ids than 0.*\(200\)'),
    (lambda path: Image.new('RGB', (9, 9)).save(path), 'in colour'),
    (lambda path: Image.new('L', (9, 9)).save(path), r'\(9 x 9, not '),
    (lambda path: path.write_bytes(path.read_bytes()[:90]), 'cannot be read')
])
def test_bad_label_maps(damage, says, name, pattern, copy):
    root = copy(name)
    path = first(root, pattern)
    damage(path)
    state = contents(root)
    problem = only(name, root)
    assert re.search(says, problem) and path.name in problem
    assert contents(root) == state


@pytest.mark.parametrize('name, image', [
    ('ade20k', 'images/training/*'), ('cityscapes', 'leftImg8bit/val/*/*')])
def test_unpaired(name, image, copy):
    root = copy(name)
    path = first(root, image)
    other = path.with_name(f'a_{path.name}')
    shutil.copy(path, other)
    assert re.search('1 of .* have no label map', only(name, root))
    other.unlink()
    path.unlink()
    assert re.search('1 of .* have no image', only(name, root))


def test_train_ids_of_other_labels(copy):
    root = copy('cityscapes')
    path = first(root, 'gtFine/val/*/*labelTrainIds.png')
    pixel(path, 18)
    state = contents(root)
    assert f'differ from the *_labelIds.png beside them, first {path.name}' \
        in only('cityscapes', root)
    assert contents(root) == state


def test_from_polygons(copy):
    root = copy('cityscapes')
    before = {path: path.read_bytes()
              for path in root.rglob('*labelTrainIds.png')}
    for path in root.rglob('*Ids.png'):
        path.unlink()
    assert not prepare('cityscapes', root, subset=True).problems
    for path, data in before.items():
        assert path.read_bytes() == data
        path.unlink()
    path = first(root, 'gtFine/val/*/*polygons.json')
    path.write_text(path.read_text().replace('"road"', '"rod"'))
    assert 'cannot be read' in only('cityscapes', root)


# ------------------------------------------------- the checks before a run


def test_expected():
    for name, layout in LAYOUTS.items():
        text = expected(layout.data_set, '/x/')
        assert f'tools/prepare_data.py {name} /x checks it' in text
        assert f'/x/{layout.tree[0]} and /x/{layout.tree[1]}' in text
        assert layout.root in expected(layout.data_set)
    assert expected('BaseSegDataset', '/x') == ''


def test_layouts_are_those_of_the_configs():
    from mmengine.config import Config
    bases = Path(__file__).parents[2] / 'configs/_base_/datasets'
    for name, file in dict(
            imagenet='imagenet_224', coco='coco_lsj-1024',
            ade20k='ade20k_512x512', cityscapes='cityscapes_512x1024').items():
        cfg = Config.fromfile(bases / f'{file}.py')
        assert cfg.dataset_type == LAYOUTS[name].data_set
        assert cfg.data_root.rstrip('/') == LAYOUTS[name].root
