"""The README that is written beside the sample data."""
from .sources import PHOTOS, TEXTURES

_TEXT = """# Sample data of hpvit_mm

Four small data sets in the on-disk layouts of ImageNet, COCO 2017, ADE20K
and Cityscapes, composed from real handwritten digits and real photographs.
The data set classes, pipelines and metrics of mmpretrain, mmdet and mmseg
read them as they read the full ones. They show that a model learns, within
minutes; results on them say nothing about results on the real data sets.

Made by `python tools/make_sample_data.py --size {size} --seed {seed}`
(counts: {counts}). The same size and seed give the same bytes.

| set | folder | training | validation | files | classes |
|---|---|---|---|---|---|
{sets}

## Splits
Digits are split by sample: every fifth of each class is for validation.
Their writers are not recorded, so one writer's digits may be in both splits.
Photographs belong to one split. Of the three textures, training shows the
left side and validation the right side. The splits do not depend on the
seed. `provenance.json` lists, for every picture, the digits (their index in
`sklearn.datasets.load_digits()`) and the photographs in it.

## Sources and licences
The digits are scikit-learn's copy of the test set of "Optical Recognition of
Handwritten Digits" (E. Alpaydin, C. Kaynak, UCI Machine Learning Repository,
CC BY 4.0). The pictures are those inside the wheels of scikit-learn and
scikit-image:

| picture | split | author, licence |
|---|---|---|
{pictures}

They are cropped, scaled, darkened, tinted and drawn over.

## What is unusual in them, as in the originals
* imagenet: greyscale and CMYK JPEGs, JPEGs stored rotated with an EXIF tag,
  PNGs with transparency named `.JPEG`, sizes that are multiples of nothing.
* coco: gaps in the category ids ({ids}), objects in several parts, crowds as
  run lengths, pictures without objects, greyscale, portrait and landscape
  pictures; in training also one picture under 32 pixels and one object under
  a pixel, which training has to drop.
* ade: 0 in a label map is "other" and ignored: rims of digits, borders
  between regions, plain cards. Greyscale and portrait pictures.
* cityscapes: eight of the nineteen classes ({streets}). 255 in
  `labelTrainIds` is ignored: the car's bonnet, the border, the kerb. Cars
  and signs are drawn; textures, reflections and the digits on them are real.
"""


def readme(summary):
    """The text for a summary as in ``samples.json``."""
    rows = []
    for name, entry in summary['sets'].items():
        rows.append(
            f'| {name} | `{entry["folder"]}` | {entry["train"]} | '
            f'{entry["val"]} | {entry["files"]} | '
            f'{", ".join(entry["classes"])} |')
    pictures = [
        f'| {name} | {photo.split} | {photo.origin} |'
        for name, photo in PHOTOS.items()
    ]
    pictures += [
        f'| {name} (texture) | both, different sides | {origin} |'
        for name, origin in TEXTURES.items()
    ]
    return _TEXT.format(
        size=summary['size'], seed=summary['seed'], counts=summary['counts'],
        sets='\n'.join(rows), pictures='\n'.join(pictures),
        ids=', '.join(map(str, summary['sets']['coco']['category_ids'])),
        streets=', '.join(summary['sets']['cityscapes']['classes']))
