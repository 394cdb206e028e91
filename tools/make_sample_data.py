"""Build the sample data: four small data sets from real pixels, offline."""
import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sample_data import make_samples  # noqa: E402

from hpvit_mm.cli import examples, run_tool  # noqa: E402


def parse_args(argv=None):
    parser = argparse.ArgumentParser(**examples(
        __doc__,
        'python tools/make_sample_data.py',
        'python tools/make_sample_data.py --out /tmp/samples --counts tiny'))
    parser.add_argument(
        '--out', default='data/samples',
        help='folder to make (default: %(default)s)')
    parser.add_argument(
        '--size', type=int, default=128,
        help='side of a scene in pixels, a multiple of 32 from 64 to 512 '
        '(default: %(default)s)')
    parser.add_argument(
        '--counts', choices=('default', 'tiny'), default='default',
        help='tiny: about 20 images per split, for tests')
    parser.add_argument(
        '--force', action='store_true',
        help='replace other sample data in that folder')
    return parser.parse_args(argv)


def report(name, split, done, total):
    """Show progress: in place on a terminal, else a line per split."""
    line = f'{name:<11}{split:<6}{done:5d} of {total}'
    if sys.stdout.isatty():
        print(f'\r{line}', end='\n' if done == total else '', flush=True)
    elif done == total:
        print(line, flush=True)


def make(args):
    start = time.time()
    summary = make_samples(
        args.out, size=args.size, counts=args.counts, force=args.force,
        progress=report)
    if not summary['built']:
        print(f'{args.out} is already there: nothing to do')
        return
    print(f'\n{"set":<11}{"train":>7}{"val":>6}{"classes":>9}')
    for name, entry in summary['sets'].items():
        print(f'{name:<11}{entry["train"]:>7}{entry["val"]:>6}'
              f'{len(entry["classes"]):>9}')
    print(f'{args.out}: {time.time() - start:.0f} s')


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    args = parse_args(argv)
    return run_tool(lambda: make(args))


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print('\nerror: interrupted; nothing was left behind',
              file=sys.stderr)
        sys.exit(130)
