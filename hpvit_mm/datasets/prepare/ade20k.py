"""ADE20K: nothing is derived."""
from .files import check_each, check_images, listing
from .label_maps import pairs, read_labels
from .report import Report


def check(report: Report, split: str) -> None:
    """Check one split."""
    name = dict(train='training', val='validation')[split]
    where, label_folder = f'images/{name}', f'annotations/{name}'
    images, labels = report.root / where, report.root / label_folder
    names = listing(images, ('.jpg', ))
    report.count(where, len(names), split)
    check_images(report, where, names)
    both = pairs(report, {one[:-4] for one in names},
                 {one[:-4] for one in listing(labels, ('.png', ))}, where,
                 label_folder)

    def work(one):
        read_labels(labels / f'{one}.png', images / f'{one}.jpg',
                    set(range(151)), '0 (ignored) to 150')

    if check_each(report, work, both, f'label maps of {label_folder}',
                  label_folder) and both:
        report.fine(f'{label_folder}: {len(both):,} label maps')
