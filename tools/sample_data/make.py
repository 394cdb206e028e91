"""Build the sample data as a whole."""
import fcntl
import json
import os
import shutil
from pathlib import Path

from hpvit_mm.errors import UserError

from . import ade20k, cityscapes, coco, imagenet
from .sources import PHOTOS, SPLITS, TEXTURES, Sources

# Increases when the same size gives other bytes.
FORMAT_VERSION = 7
NAME = 'hpvit_mm sample data'
SETS = dict(
    imagenet=(imagenet, 'imagenet'),
    coco=(coco, 'coco'),
    ade20k=(ade20k, 'ade/ADEChallengeData2016'),
    cityscapes=(cityscapes, 'cityscapes'))

README = """# Sample data of hpvit_mm

Four small data sets in the folder structures of ImageNet, COCO 2017, ADE20K
and Cityscapes, composed from real handwritten digits and real photographs.
Results on them say nothing about results on the real data sets. Made by
`python tools/make_sample_data.py --size {size}` (counts: {counts});
the same size gives the same bytes.

No digit and no photograph occurs in both splits; of the three textures,
training shows the left side and validation the right side. `provenance.json`
lists the digits (index in `sklearn.datasets.load_digits()`) and the
photographs in every image.

The digits are scikit-learn's copy of the test set of "Optical Recognition of
Handwritten Digits" (E. Alpaydin, C. Kaynak, UCI Machine Learning Repository,
CC BY 4.0). The photographs and textures are those inside the wheels of
scikit-learn and scikit-image, cropped, scaled, darkened, tinted and drawn
over:

| image | split | author, licence |
|---|---|---|
{rows}

As in the originals, some files are unusual: greyscale and CMYK JPEGs, JPEGs
rotated by an EXIF tag, PNGs named `.JPEG`, gaps in category ids, crowds,
objects in several parts, images without objects, and, in COCO's training
split, an image under 32 pixels and an object under one. 0 is ignored in
ADE20K's label maps, 255 in Cityscapes'.
"""


def make_samples(out, size=128, counts='default', force=False, progress=None):
    """Build the four sample data sets, deterministically and offline.

    Args:
        out (str | Path): The folder to make. If it already holds the data
            that are asked for, nothing is done.
        size (int): Nominal side of the dense scenes in pixels, a multiple of
            32 from 64 to 512. Classification images are half as large,
            Cityscapes ones 0.75 x 1.5 times.
        counts (str): 'default', or 'tiny': about 20 images per split.
        force (bool): Replace older sample data at ``out``; anything else is
            never replaced.
        progress (callable | None): Called with (set, split, done, total).

    Returns:
        dict: The contents of ``samples.json``, and 'built': whether anything
        was done.

    Raises:
        UserError: If an argument is out of range, or ``out`` holds anything
            else or cannot be written.
    """
    if not isinstance(size, int) or not 64 <= size <= 512 or size % 32:
        raise UserError('the size must be a multiple of 32 from 64 to 512 '
                        f'pixels, not {size}')
    wanted = dict(size=size, counts=counts)
    # The target of a link (to a larger disk, say) is replaced, not the link.
    target = Path(os.path.realpath(out))
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            summary = _read_summary(target)
            if summary is None:
                raise UserError(
                    f'{out} holds something other than sample data, so it is '
                    'never replaced: give another --out')
            if not force:
                _check_same(out, summary, wanted)
                return dict(summary, built=False)
        sources = {split: Sources(split) for split in SPLITS}
        target.parent.mkdir(parents=True, exist_ok=True)
        # Built in a hidden folder and renamed, so that what is at the target
        # is always complete; one build at a time.
        work = target.parent / f'.{target.name}.building'
        handle = os.open(target.parent, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            shutil.rmtree(work, ignore_errors=True)  # of a killed build
            work.mkdir()
            summary = _build(work, sources, wanted, progress)
            if target.exists():
                shutil.rmtree(target)
            work.rename(target)
        finally:
            os.close(handle)
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise UserError(f'cannot write {out}: '
                        f'{(error.strerror or str(error)).lower()}') from None
    return dict(summary, built=True)


def _check_same(out, summary, wanted):
    """Check that the sample data that are there are those asked for."""
    if summary['format_version'] != FORMAT_VERSION:
        raise UserError(f'{out} holds sample data of another version: --force '
                        'replaces them')
    if {key: summary[key] for key in wanted} != wanted:
        raise UserError(
            f'{out} holds other sample data (size {summary["size"]}, '
            f'counts {summary["counts"]}): give another --out, or --force to '
            'replace them')


def _read_summary(root):
    """``samples.json``, or None where it is missing or not ours."""
    try:
        summary = json.loads((root / 'samples.json').read_text())
        return summary if summary['name'] == NAME else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _build(root, sources, wanted, progress):
    sets, provenance = {}, {}
    for name, (module, folder) in SETS.items():
        entry = dict(folder=folder, classes=list(module.CLASSES))
        for split in SPLITS:
            count = module.COUNTS[wanted['counts']][split] or len(
                sources[split].digits)
            entry[split] = count
            written = module.write(root / folder, sources[split], split,
                                   count, wanted['size'])
            for done, (path, used) in enumerate(written, 1):
                provenance[f'{folder}/{path}'] = dict(split=split, **used)
                if progress is not None:
                    progress(name, split, done, count)
        sets[name] = entry
    summary = dict(name=NAME, format_version=FORMAT_VERSION, **wanted,
                   sets=sets)
    rows = [f'| {name} | {photo.split} | {photo.origin} |'
            for name, photo in PHOTOS.items()]
    rows += [f'| {name} (texture) | both | {origin} |'
             for name, origin in TEXTURES.items()]
    (root / 'README.md').write_text(README.format(
        rows='\n'.join(rows), **wanted), encoding='utf-8')
    for name, data in (('provenance', provenance), ('samples', summary)):
        (root / f'{name}.json').write_text(json.dumps(data, indent=1) + '\n')
    return summary
