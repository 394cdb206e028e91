"""Check the four real data sets, and make the files derived from them."""
from importlib import import_module

from hpvit_mm.errors import UserError

from ..rules.layouts import LAYOUTS
from .files import check_places, check_root
from .report import Report

__all__ = ['prepare']


def prepare(name: str, path: str, subset: bool = False) -> Report:
    """Check a data set and make the files that its configs read besides.

    Nothing is deleted, downloaded or overwritten.

    Args:
        name: 'imagenet', 'coco', 'ade20k' or 'cityscapes'.
        path: Its folder.
        subset: Accept other counts and other classes than the original's.

    Returns:
        What was found.

    Raises:
        UserError: If there is no such folder, or it cannot be written.
    """
    layout = LAYOUTS[name]
    report = Report(layout, check_root(path, layout), subset)
    module = import_module(f'{__name__}.{name}')
    try:
        for split in check_places(report):
            module.check(report, split)
    except OSError as error:
        raise UserError(f'{error.filename} cannot be read ({error.strerror}); '
                        'check its permissions and its disk') from error
    return report
