#!/usr/bin/env python
"""Plot the learning rate of experiments."""
import argparse
import sys
from pathlib import Path

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import run_tool  # noqa: E402

environment.prepare()


def plot(curves, path) -> None:
    """Plot several schedules, one below the other.

    Args:
        curves: Title and learning rates of each.
        path: The SVG file to write.
    """
    import matplotlib
    from matplotlib.figure import Figure
    # small files, and the same bytes each time
    matplotlib.rcParams.update({'svg.fonttype': 'none', 'svg.hashsalt': ''})
    figure = Figure((7, 2.6 * len(curves)), layout='constrained')
    for row, (title, rates) in enumerate(curves, 1):
        axes = figure.add_subplot(len(curves), 1, row)
        step = max(1, len(rates) // 400)
        axes.plot(range(0, len(rates), step), rates[::step])
        axes.set(title=title, xlabel='iteration', ylabel='learning rate')
        axes.grid(alpha=0.3)
        axes.set_ylim(bottom=0)
    figure.savefig(path, format='svg', metadata=dict(Date=None))


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description='Plot the learning rate of experiments, one below the '
        'other, as their schedulers set it.')
    parser.add_argument('configs', nargs='+', metavar='CONFIG')
    parser.add_argument('out', metavar='OUT.svg', help='the file to write')
    parser.add_argument(
        '--epoch-length', type=int, metavar='N',
        help='iterations per epoch, where a schedule counts epochs')
    parser.add_argument('--force', action='store_true',
                        help='replace OUT.svg if it exists')
    args = parser.parse_args(argv)

    def run():
        from hpvit_mm.analysis.schedule import learning_rates
        from hpvit_mm.checkpoints.write import check_destination
        from hpvit_mm.utils import replacing
        from hpvit_mm.engine.settings import load_config
        check_destination(args.out, args.force)
        curves = [(Path(name).stem, learning_rates(load_config(name),
                                                   args.epoch_length))
                  for name in args.configs]
        with replacing(args.out) as part:
            plot(curves, part)
        for title, rates in curves:
            print(f'{title}: {len(rates):,} iterations, {rates[0]:.3g} at the '
                  f'start, {max(rates):.3g} at most, {rates[-1]:.3g} at the '
                  'end')

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
