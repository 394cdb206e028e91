#!/usr/bin/env python
"""Keep the tables of experiments up to date with the configs."""
import argparse
import sys
from pathlib import Path

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import run_tool  # noqa: E402

environment.prepare()


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description='Compute from the configs what the experiments cost, and '
        'compare it with the tables in configs/*/README.md and '
        'docs/model_zoo.md, the metafiles, and the heads of the configs.')
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--check', action='store_true',
                      help='name what is not up to date (default)')
    what.add_argument('--write', action='store_true',
                      help='bring it up to date')
    what.add_argument('--explain', metavar='CONFIG', nargs='+',
                      help='show the cost of configs part by part instead')
    args = parser.parse_args(argv)

    def run():
        from hpvit_mm.analysis import model_zoo
        if args.explain:
            print('\n\n'.join(map(model_zoo.explain, args.explain)))
        elif args.write:
            for path in model_zoo.write():
                print(f'wrote {path}')
        else:
            model_zoo.check()

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
