"""No pixel of the validation split is ever seen in training."""
import json

import numpy as np
from sample_data import sources
from sample_data.sources import PHOTOS, Sources


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits
    images, labels = sources.load_digits()
    expected = load_digits()
    assert (images == expected.images).all()
    assert (labels == expected.target).all()


def test_splits_are_disjoint():
    train, val = Sources('train'), Sources('val')
    assert not set(train.digits) & set(val.digits)
    assert len(train.digits) + len(val.digits) == 1797
    for of_train, of_val in zip(train.by_class, val.by_class):
        assert 0.19 < len(of_val) / (len(of_train) + len(of_val)) < 0.21
    # no copy of a training digit either
    seen = {digit.tobytes() for digit in train.digits.values()}
    assert not seen & {digit.tobytes() for digit in val.digits.values()}
    assert set(train.photos) | set(val.photos) == set(PHOTOS)
    assert train.skies and val.skies
    assert len({photo.file for photo in PHOTOS.values()}) == len(PHOTOS)
    pixels = {image.tobytes() for image in train.photos.values()}
    assert not pixels & {image.tobytes() for image in val.photos.values()}
    (_, train_end), (val_start, val_end) = (
        sources.TEXTURE_COLUMNS[split] for split in ('train', 'val'))
    assert train_end < val_start
    for name in sources.TEXTURES:
        assert [np.asarray(one.textures[name]).size // 3 // 512
                for one in (train, val)] == [train_end, val_end - val_start]


def test_record_of_what_every_image_shows(sample_data):
    """The finished files, not the code: nothing is on both sides."""
    record = json.loads((sample_data / 'provenance.json').read_text())
    summary = json.loads((sample_data / 'samples.json').read_text())
    assert len(record) == sum(entry['train'] + entry['val']
                              for entry in summary['sets'].values())
    seen = {split: dict(digits=set(), photos=set()) for split in
            ('train', 'val')}
    for path, entry in record.items():
        assert (sample_data / path).is_file(), path
        for kind in ('digits', 'photos'):
            seen[entry['split']][kind] |= set(entry[kind])
    for kind in ('digits', 'photos'):
        assert seen['train'][kind] and seen['val'][kind]
        assert not seen['train'][kind] & seen['val'][kind]
