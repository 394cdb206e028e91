#!/usr/bin/env python
"""Check a data set, and make what is derived from it."""
import argparse
import os
import sys
from pathlib import Path

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpvit_mm.cli import examples, run_tool  # noqa: E402
from hpvit_mm.errors import UserError  # noqa: E402


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    from hpvit_mm.datasets.rules.layouts import LAYOUTS
    parser = argparse.ArgumentParser(**examples(
        'Check that a data set is there as the configs read it, '
        "and make what is derived: Cityscapes' labelTrainIds and the lists "
        'meta/{train,val}.txt of ImageNet. Nothing is deleted, downloaded '
        'or overwritten. The layouts: docs/data.md.',
        'python tools/prepare_data.py imagenet data/imagenet',
        'python tools/prepare_data.py coco my-part-of-coco --subset'))
    parser.add_argument('name', choices=LAYOUTS)
    parser.add_argument('path', help='its folder, such as '
                        + ', '.join(one.root for one in LAYOUTS.values()))
    parser.add_argument('--subset', action='store_true', help='accept other '
                        "counts and other classes than the original's")
    args = parser.parse_args(argv)

    def run():
        from hpvit_mm.datasets.prepare import prepare
        report = prepare(args.name, args.path, args.subset)
        print('\n'.join(report.lines()), flush=True)
        number = len(report.problems)
        if number:
            raise UserError(
                f'{args.path} is not ready ({number} '
                f'{"problem" if number == 1 else "problems"}); fix what is '
                'wrong above and run this again')
        print(f'ready for configs/{args.name}' + link(
            args.path, LAYOUTS[args.name].root))

    try:
        return run_tool(run)
    except KeyboardInterrupt:
        print('\nerror: interrupted; what was made is whole, and the next '
              'call continues', file=sys.stderr)
        return 130


def link(path: str, root: str) -> str:
    """Describe how to put the data where the configs look for them."""
    if os.path.realpath(path) == os.path.realpath(root):
        return ''
    return (f', which read {root}: link it there (ln -sT "$(realpath {path})" '
            f'{root}) or set data_root')


if __name__ == '__main__':
    sys.exit(main())
