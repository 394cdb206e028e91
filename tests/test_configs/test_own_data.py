"""The worked examples of docs/own_data.md, on data of those shapes."""
import json
import math
import re
import shutil

import numpy as np
import pytest
from experiments import ROOT, evaluate, make_small, train_step
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from PIL import Image

from hpvit_mm.engine import arguments, settings
from hpvit_mm.engine.checks import check_run
from hpvit_mm.errors import UserError

BLOCKS = re.findall(r'```python\n(.*?)```',
                    (ROOT / 'docs/own_data.md').read_text(), re.S)
EXAMPLES = {re.match('# (.*)', block)[1]: block
            for block in BLOCKS if block.startswith('# configs/')}
PETS, PARTS, AERIAL = EXAMPLES


def make_pets(samples, data):
    """A folder of images: the digits 3 and 5 as cats and dogs."""
    folders = sorted((samples / 'imagenet/train').iterdir())
    for name, folder in zip(('cat', 'dog'), folders[3:6:2]):
        for split in ('train', 'val'):
            shutil.copytree(folder, data / 'pets' / split / name)


def make_parts(samples, data):
    """COCO's format: the digits as three kinds of parts, with gaps in ids."""
    names = {4: 'nut', 7: 'bolt', 9: 'ring'}
    for split in ('train', 'val'):
        shutil.copytree(samples / f'coco/{split}2017', data / 'parts' / split)
        file = samples / f'coco/annotations/instances_{split}2017.json'
        content = json.loads(file.read_text())
        content['categories'] = [
            dict(id=number, name=name) for number, name in names.items()]
        for number, one in enumerate(content['annotations']):
            one['category_id'] = list(names)[number % 3]
        (data / f'parts/{split}.json').write_text(json.dumps(content))


def make_aerial(samples, data):
    """Label maps of 0 (ignored), 1 and 2."""
    source = samples / 'ade/ADEChallengeData2016'
    for split in ('training', 'validation'):
        shutil.copytree(source / 'images' / split,
                        data / 'aerial/images' / split)
        labels = data / 'aerial/annotations' / split
        labels.mkdir(parents=True)
        for file in (source / 'annotations' / split).iterdir():
            values = np.minimum(np.asarray(Image.open(file)), 2)
            Image.fromarray(values).save(labels / file.name)


MAKERS = {PETS: make_pets, PARTS: make_parts, AERIAL: make_aerial}


@pytest.fixture
def example(sample_data, tmp_path, monkeypatch):
    """Writes an example's config, and its data below ``data/``."""
    monkeypatch.chdir(tmp_path)

    def write(name, change=lambda text: text):
        if not (tmp_path / 'data').exists():
            MAKERS[name](sample_data, tmp_path / 'data')
        text = change(EXAMPLES[name])
        folder = str(ROOT / name.rsplit('/', 1)[0])
        path = tmp_path / 'config.py'
        path.write_text(text.replace("'./", f"'{folder}/"))
        return path

    return write


def check(path) -> Config:
    """Run the checks of tools/train.py."""
    cfg = settings.training_config(arguments.parse_train([str(path)]))
    check_run(cfg, training=True)
    return cfg


@pytest.mark.parametrize('name', EXAMPLES)
def test_it_is_short(name):
    lines = [line for line in EXAMPLES[name].splitlines()
             if line and not line.startswith('#')]
    assert len(lines) < 15


# advice of mmseg, which those of two classes may take or not
@pytest.mark.filterwarnings('ignore:For binary segmentation:UserWarning')
@pytest.mark.parametrize('name', EXAMPLES)
def test_it_trains_and_validates(name, example):
    cfg = check(example(name))
    make_small(cfg)
    init_default_scope(cfg.default_scope)
    try:
        model = train_step(cfg)
        metrics = evaluate(model, cfg.val_dataloader, cfg.val_evaluator)
    finally:
        DefaultScope._instance_dict.pop(cfg.default_scope, None)
    assert metrics and all(map(math.isfinite, metrics.values()))


def test_cascade(example, tmp_path):
    """Three box heads in a list."""
    more, = (block for block in BLOCKS if 'cascade' in block)
    example(PARTS)
    rest = EXAMPLES[PARTS].split('mask_head=dict(num_classes=3)))\n')[1]
    (tmp_path / 'config.py').write_text(
        (more + rest).replace("'./", f"'{ROOT}/configs/coco/"))
    cfg = check(tmp_path / 'config.py')
    assert [head.num_classes for head in cfg.model.roi_head.bbox_head] \
        == [3, 3, 3]


def test_ids_are_mapped(example, tmp_path):
    snippet, = (block for block in BLOCKS if 'MapLabels' in block)
    config = example(AERIAL)
    for file in (tmp_path / 'data/aerial/annotations').rglob('*.png'):
        image = Image.open(file)
        image.putpixel((3, 3), 12)  # 11 behind reduce_zero_label
        image.save(file)
    with pytest.raises(UserError, match=r'\(12\).*mapping={11: 255}'):
        check(config)
    config.write_text(config.read_text() + snippet)
    cfg = check(config)
    for loader, place in (('train', 2), ('val', -2)):
        pipeline = cfg[f'{loader}_dataloader'].dataset.pipeline
        assert pipeline[place].type == 'hpvit_mm.MapLabels'


@pytest.mark.parametrize('name, old, new, sentence', [
    (PETS, ', head=dict(num_classes=2)', '',
     r'model\.head\.num_classes is 1000, but train_dataloader\.dataset has 2 '
     r'classes \(cat, dog\); set num_classes to 2'),
    (PETS, "('cat', 'dog')", "('cat', 'dog', 'cow')",
     r'head\.num_classes is 2, but train_dataloader\.dataset has 3 classes'),
    (PARTS, ', mask_head=dict(num_classes=3)', '',
     r'mask_head\.num_classes is 80, but .* has 3 classes .*set num_classes'),
    (PARTS, "'ring'", "'rnig'",
     'rnig is not among the categories of .*train.json, which are nut, bolt'),
    (PARTS, ", metainfo=dict(classes=('nut', 'bolt', 'ring'))", '',
     r'num_classes is 3, but train_dataloader.* has 80 classes'),
    (PARTS, "val_evaluator = dict(ann_file='data/parts/val.json')\n",
     'val_evaluator = dict()\n',
     r'val_evaluator\.ann_file: the file .*set val_evaluator\.ann_file to '
     r'data/parts/val\.json'),
    (AERIAL, ', auxiliary_head=dict(num_classes=2)', '',
     r'auxiliary_head\.num_classes is 150, but .* has 2 classes'),
    (AERIAL, "reduce_zero_label=True", 'reduce_zero_label=False',
     r'label maps .* hold other ids than 0 to 1 \(the 2 classes\)'),
    (AERIAL, "type='BaseSegDataset', ", '',
     r'asphalt not among the 150 classes of ADE20KDataset; use '
     r'type=BaseSegDataset'),
    (AERIAL, "'data/aerial'", "'data/arial'",
     r'data_root: the folder .*data/arial does not exist'),
])
def test_mistakes_are_caught_before_the_run(name, old, new, sentence,
                                            example):
    def change(text):
        assert old in text
        return text.replace(old, new)

    with pytest.raises(UserError, match=f'(?s){sentence}'):
        check(example(name, change))
