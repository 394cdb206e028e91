"""No pixel of the validation split is ever seen in training."""
import json

import numpy as np

from hpvit_mm.datasets import sources
from hpvit_mm.datasets.sources import PHOTOS, Sources


def test_digits_are_split_by_sample_and_class():
    train, val = Sources('train'), Sources('val')
    assert not set(train.digits) & set(val.digits)
    assert len(train.digits) + len(val.digits) == 1797
    for of_train, of_val in zip(train.by_class, val.by_class):
        share = len(of_val) / (len(of_train) + len(of_val))
        assert 0.19 < share < 0.21
    # no copy of a training digit either
    seen = {digit.tobytes() for digit in train.digits.values()}
    assert not seen & {digit.tobytes() for digit in val.digits.values()}


def test_photographs_and_skies_are_split():
    train, val = Sources('train'), Sources('val')
    assert not set(train.photos) & set(val.photos)
    assert set(train.photos) | set(val.photos) == set(PHOTOS)
    assert train.skies and val.skies
    files = [photo.file for photo in PHOTOS.values()]
    assert len(set(files)) == len(files)
    pixels = {image.tobytes() for image in train.photos.values()}
    assert not pixels & {image.tobytes() for image in val.photos.values()}


def test_textures_are_disjoint_parts_of_the_picture():
    (_, train_end), (val_start, val_end) = (
        sources.TEXTURE_COLUMNS[s] for s in ('train', 'val'))
    assert train_end < val_start < val_end == 512
    train, val = Sources('train'), Sources('val')
    for name in sources.TEXTURES:
        sides = {np.asarray(s.textures[name]).size // 3 // 512
                 for s in (train, val)}
        assert sides == {train_end, val_end - val_start}


def test_record_of_what_every_picture_shows(sample_data):
    """The finished files, not the code: nothing is on both sides."""
    record = json.loads((sample_data / 'provenance.json').read_text())
    summary = json.loads((sample_data / 'samples.json').read_text())
    pictures = sum(e['train'] + e['val'] for e in summary['sets'].values())
    assert len(record) == pictures
    seen = {split: dict(digits=set(), photos=set()) for split in
            ('train', 'val')}
    for path, entry in record.items():
        assert (sample_data / path).is_file(), path
        for kind in ('digits', 'photos'):
            seen[entry['split']][kind] |= set(entry[kind])
    for kind in ('digits', 'photos'):
        assert seen['train'][kind] and seen['val'][kind]
        assert not seen['train'][kind] & seen['val'][kind]
