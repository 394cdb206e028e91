"""Folder structures of the four data sets, as our configs expect them.

The only home of the trees: ``tools/prepare_data.py`` and the checks before a
run tell them from here. It imports nothing heavy.
"""
from dataclasses import dataclass
from typing import Dict, Tuple

SPLITS = ('train', 'val')


@dataclass(frozen=True)
class Layout:
    """A data set as its configs read it.

    Attributes:
        title: What people call it.
        data_set: The class that reads it.
        root: The folder that the configs name.
        tree: What a run reads, below the root.
        needs: Split -> the folders and files that nobody can derive.
        counts: Split -> how many images it has.
        origin: What the tree is unpacked from.
    """
    title: str
    data_set: str
    root: str
    tree: Tuple[str, ...]
    needs: Dict[str, Tuple[str, ...]]
    counts: Dict[str, int]
    origin: str


LAYOUTS = dict(
    imagenet=Layout(
        'ImageNet-1K', 'ImageNet', 'data/imagenet',
        ('train/<wnid>/*.JPEG', 'val/*.JPEG', 'meta/{train,val}.txt'),
        dict(train=('train', ), val=('train', 'val')),
        dict(train=1_281_167, val=50_000),
        'ILSVRC2012_img_train.tar, each <wnid>.tar in it to train/<wnid>/, '
        'and ILSVRC2012_img_val.tar to val/'),
    coco=Layout(
        'COCO 2017', 'CocoDataset', 'data/coco',
        ('{train2017,val2017}/*.jpg',
         'annotations/instances_{train,val}2017.json'),
        {split: (f'{split}2017', f'annotations/instances_{split}2017.json')
         for split in SPLITS},
        dict(train=118_287, val=5_000),
        'train2017.zip, val2017.zip and annotations_trainval2017.zip'),
    ade20k=Layout(
        'ADE20K', 'ADE20KDataset', 'data/ade/ADEChallengeData2016',
        ('images/{training,validation}/*.jpg',
         'annotations/{training,validation}/*.png'),
        dict(train=('images/training', 'annotations/training'),
             val=('images/validation', 'annotations/validation')),
        dict(train=20_210, val=2_000),
        'ADEChallengeData2016.zip (the full ADE20K is another set)'),
    cityscapes=Layout(
        'Cityscapes', 'CityscapesDataset', 'data/cityscapes',
        ('leftImg8bit/{train,val}/<city>/*_leftImg8bit.png',
         'gtFine/{train,val}/<city>/*_gtFine_labelTrainIds.png'),
        {split: (f'leftImg8bit/{split}', f'gtFine/{split}')
         for split in SPLITS},
        dict(train=2_975, val=500),
        'leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip'))


def expected(data_set: str, root: str = '', command: bool = True) -> str:
    """The end of a sentence about a wrong path: what is expected there.

    Args:
        data_set: The name of the class that reads it.
        root: The root of the data; that of our configs by default.
        command: Whether to name the tool that checks it.

    Returns:
        The words, or '' for a class that is not one of the four.
    """
    for name, layout in LAYOUTS.items():
        if layout.data_set == data_set:
            root = str(root or layout.root).rstrip('/')
            places = ' and '.join(f'{root}/{place}' for place in layout.tree)
            text = f'; expected for {layout.title}: {places}'
            return text + (f'; tools/prepare_data.py {name} {root} checks it'
                           if command else '')
    return ''
