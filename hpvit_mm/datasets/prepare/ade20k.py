"""ADE20K: nothing is derived."""
from ..rules.label_maps import check_ids, ids_in, read_labels
from ..rules.problems import examine
from .files import RELEASE, check_images, listing, note_rotated, pairs
from .report import Report


def check(report: Report, split: str) -> None:
    """Check one split."""
    name = dict(train='training', val='validation')[split]
    where, label_folder = f'images/{name}', f'annotations/{name}'
    images, labels = report.root / where, report.root / label_folder
    names = listing(images, ('.jpg', ))
    report.count(where, len(names), split)
    check_images(report, where, names)
    note_rotated(report, where, names, 'label maps')
    both = pairs(report, {one[:-4] for one in names},
                 {one[:-4] for one in listing(labels, ('.png', ))}, where,
                 label_folder)

    def work(one):
        path = labels / f'{one}.png'
        found = ids_in(read_labels(path, images / f'{one}.jpg'))
        check_ids(path, found, range(151), '0 (ignored) to 150', RELEASE)

    if report.add(examine(work, both, f'label maps of {label_folder}',
                          label_folder)) and both:
        report.note('fine', f'{label_folder}: {len(both):,} label maps')
