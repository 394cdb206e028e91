#!/usr/bin/env python
"""Plot the logs of trainings over each other; see --help."""
import argparse
import sys
from pathlib import Path

# The package beside this folder, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hpvit_mm.cli import examples, run_tool  # noqa: E402
from hpvit_mm.errors import UserError  # noqa: E402

METRICS = ('accuracy/top1', 'coco/bbox_mAP', 'coco/segm_mAP', 'mIoU', 'top1')
OTHERS = ('lr', 'grad_norm', 'time', 'memory')
NOTES = """\
Without --keys: the loss, the main metrics, the learning rate, the norm of
the gradient, seconds per iteration and GPU memory in MB, where logged."""


def keys_of(runs, wanted):
    """Return the names to plot, each of which a run has."""
    known = list(dict.fromkeys(key for run in runs for key in run))
    unknown = [key for key in wanted if key not in known]
    if unknown:
        raise UserError(f'no run has logged {unknown[0]}; there is '
                        f'{", ".join(sorted(known))}')
    return wanted or [key for key in ('loss', *METRICS, *OTHERS)
                      if key in known]


def mean_and_spread(curves):
    """The iterations that all curves have, their mean, least and largest."""
    steps = sorted(set.intersection(*map(set, curves)))
    if not steps:
        raise UserError('the runs have logged at no common iteration: omit '
                        '--mean, or choose others by --keys')
    rows = [[curve[step] for curve in curves] for step in steps]
    return (steps, [sum(row) / len(row) for row in rows],
            [min(row) for row in rows], [max(row) for row in rows])


def plot(names, runs, keys, mean: bool, out, kind: str) -> None:
    """Draw one panel per key, with all runs in it."""
    from matplotlib.figure import Figure
    columns = min(3, len(keys))
    rows = -(-len(keys) // columns)
    figure = Figure((4.5 * columns, 3 * rows + 0.4), layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(keys):]:
        axes.axis('off')
    for axes, key in zip(panels, keys):
        have = [(f'C{i}', name, run[key]) for i, (name, run) in
                enumerate(zip(names, runs)) if key in run]
        style = dict(marker='.') if all(
            len(curve) < 20 for *_, curve in have) else {}
        if mean:
            steps, middle, low, high = mean_and_spread(
                [curve for *_, curve in have])
            axes.plot(steps, middle, label='mean', **style)
            axes.fill_between(steps, low, high, alpha=0.25,
                              label='least to largest')
        else:
            for colour, name, curve in have:
                steps = sorted(curve)
                axes.plot(steps, [curve[step] for step in steps],
                          color=colour, label=name, **style)
        axes.set(title=key, xlabel='iteration')
        axes.grid(alpha=0.3)
    if len(names) > 1:  # of the panels with most runs
        handles, labels = max((axes.get_legend_handles_labels()
                               for axes in figure.axes),
                              key=lambda found: len(found[0]))
        figure.legend(handles, labels, loc='outside lower center', ncols=2)
    figure.savefig(out, dpi=110, format=kind)


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(**examples(
        'Plot loss, metrics, learning rate, time and memory of '
        'trainings.',
        'python tools/analysis/plot_logs.py work_dirs/a work_dirs/b --out '
        'curves.png',
        'python tools/analysis/plot_logs.py work_dirs/seed* --mean --keys '
        'loss mIoU',
        notes=NOTES))
    parser.add_argument('work_dir', nargs='+')
    parser.add_argument('--keys', nargs='+', default=[], metavar='KEY',
                        help='what to plot, as named in the logs')
    parser.add_argument('--mean', action='store_true',
                        help='one curve, the mean of all runs (such as '
                        'seeds), and the spread')
    parser.add_argument('--out', default='curves.png', metavar='FILE',
                        help='PNG, SVG or PDF (default: curves.png)')
    parser.add_argument('--force', action='store_true',
                        help='replace a file that exists')
    args = parser.parse_args(argv)

    def run() -> None:
        from hpvit_mm.analysis.logs import read_curves
        from hpvit_mm.checkpoints.write import check_destination
        from hpvit_mm.utils import replacing
        if Path(args.out).suffix not in ('.png', '.svg', '.pdf'):
            raise UserError(f'--out {args.out}: name a file that ends in '
                            '.png, .svg or .pdf')
        check_destination(args.out, args.force)
        runs = [read_curves(one) for one in args.work_dir]
        keys = keys_of(runs, args.keys)
        with replacing(args.out) as part:
            plot(args.work_dir, runs, keys, args.mean, part,
                 Path(args.out).suffix[1:])
        print(args.out)

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
