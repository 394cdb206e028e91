"""Pictures to time data pipelines on, like those of the four data sets.

Real photographs, because decoders and label counts depend on what is seen, in
the usual sizes and formats; the labels are polygons at random places. The same
ones each time.
"""
from pathlib import Path
from typing import Callable, Dict, List

import numpy as np
from PIL import Image, ImageDraw

from hpvit_mm.datasets import scenes
from hpvit_mm.datasets.sources import SPLITS, Sources

INSTANCES = 7  # of an image of COCO, on average


def make_photographs(root: Path, count: int = 8) -> Dict[str, List[dict]]:
    """Write pictures and describe them as the hosts' data sets do.

    Args:
        root: An empty folder.
        count: Pictures per data set; half as many of Cityscapes'.

    Returns:
        For 'imagenet' (500 x 375, JPEG), 'coco' (640 x 480, JPEG, seven
        instances), 'ade20k' (683 x 512, JPEG) and 'cityscapes' (2048 x 1024,
        PNG, and the same as BMP under 'cityscapes-bmp'): what the first
        transform gets of each picture. A quarter is upright.
    """
    photos = [photo for split in SPLITS
              for photo in Sources(split).photos.values()]
    makers: Dict[str, Callable] = dict(
        imagenet=_imagenet, coco=_coco, ade20k=_ade20k,
        cityscapes=_cityscapes)
    found = {}
    for kind, (name, make) in enumerate(makers.items()):
        number = count if name != 'cityscapes' else count // 2
        found[name] = [
            dict(make(scenes.make_rng(kind, i), photos, root / f'{name}-{i}',
                      i % 4 == 0), sample_idx=i) for i in range(number)]
    found['cityscapes-bmp'] = []
    for item in found['cityscapes']:
        path = Path(item['img_path']).with_suffix('.bmp')
        with Image.open(item['img_path']) as image:
            image.save(path)
        found['cityscapes-bmp'].append(dict(item, img_path=str(path)))
    return found


def _imagenet(rng, photos, stem, upright):
    size = (375, 500) if upright else (500, 375)
    return dict(img_path=_jpeg(rng, photos, stem, size), gt_label=0)


def _coco(rng, photos, stem, upright):
    width, height = size = (480, 640) if upright else (640, 480)
    instances = []
    for _ in range(INSTANCES):
        # A third of COCO's instances is smaller than 32 pixels, a quarter
        # larger than 96.
        outline = _blob(rng, size, radius=_between(rng, 8, 160))
        outline = np.clip(outline, 0, size).round(2)
        instances.append(dict(
            bbox=[*outline.min(0), *outline.max(0)], bbox_label=0,
            ignore_flag=0, mask=[outline.ravel().tolist()]))
    return dict(img_path=_jpeg(rng, photos, stem, size), img_id=0,
                height=height, width=width, instances=instances)


def _ade20k(rng, photos, stem, upright):
    size = (512, 683) if upright else (683, 512)
    return dict(img_path=_jpeg(rng, photos, stem, size),
                **_labels(rng, stem, size, classes=151),
                reduce_zero_label=True)


def _cityscapes(rng, photos, stem, _):
    path = f'{stem}.png'
    _mosaic(rng, photos, (2048, 1024), 512).save(path)
    return dict(img_path=path, **_labels(rng, stem, (2048, 1024), classes=19),
                reduce_zero_label=False)


def _jpeg(rng, photos, stem, size):
    path = f'{stem}.jpg'
    _mosaic(rng, photos, size, max(size) // 2).save(path, quality=90)
    return path


def _mosaic(rng, photos, size, side):
    """Photographs side by side, reduced to as much detail as files have."""
    image = Image.new('RGB', size)
    for left in range(0, size[0], side):
        for top in range(0, size[1], side):
            tile = scenes.crop(rng, scenes.pick(rng, photos), side, side,
                               smallest=0.9)
            image.paste(Image.fromarray(scenes.to_bytes(tile)), (left, top))
    return image


def _labels(rng, stem, size, classes):
    width, height = size
    labels = Image.new('L', size, 1)
    pen = ImageDraw.Draw(labels)
    pen.rectangle((0, height // 2, width, height), fill=2)
    for _ in range(12):
        outline = _blob(rng, size, radius=_between(rng, height / 40,
                                                   height / 3))
        pen.polygon([tuple(point) for point in outline],
                    fill=int(rng.integers(classes)))
    path = f'{stem}-labels.png'
    labels.save(path)
    return dict(seg_map_path=path, label_map=None, seg_fields=[])


def _blob(rng, size, radius):
    """A polygon of 12 to 40 points somewhere in a picture, (N, 2)."""
    angles = np.sort(rng.random(int(rng.integers(12, 40)))) * 2 * np.pi
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points *= radius * (0.6 + 0.4 * rng.random((len(angles), 1)))
    return points + rng.random(2) * size


def _between(rng, low, high):
    """A number of which small ones are as likely as large ones."""
    return np.exp(scenes.uniform(rng, np.log(low), np.log(high)))
