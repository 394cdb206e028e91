#!/usr/bin/env python
"""Time HPViT beside the parts of the host libraries; see README.md."""
import argparse
import json
import os
import sys
import time
from pathlib import Path

# The package beside this folder, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import run_tool  # noqa: E402
from hpvit_mm.errors import UserError  # noqa: E402

environment.prepare()

SUITES = ('cls', 'dense', 'train', 'dinov3')


def positive(text: str) -> int:
    """Convert the number of rounds."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'{text} is not a positive integer')
    return int(text)


def measure(suite: str, options) -> dict:
    """Run a suite.

    Returns:
        The rows of its tables, with the machine, versions and options.
    """
    import networks
    import torch

    from hpvit_mm.analysis.machine import describe
    if options.device == 'cpu':
        torch.set_num_threads(1)
    machine, load = describe(), os.getloadavg()[0]
    versions = dict(environment.versions(),
                    timm=environment.version_of('timm'))
    print(f'{machine["gpu"] or machine["processor"]}, '
          f'{torch.get_num_threads()} thread(s), load {load:.1f} before\n'
          + ', '.join(f'{name} {version}'
                      for name, version in versions.items() if version))
    start = time.monotonic()
    rows = getattr(networks, f'run_{suite}')(options)
    return dict(
        suite=suite, device=options.device, rounds=options.rounds,
        threads=torch.get_num_threads(), machine=machine, versions=versions,
        seconds=time.monotonic() - start, load=[load, os.getloadavg()[0]],
        rows=rows)


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description='Time HPViT-B beside the parts of the host libraries. '
        'Report ratios of one run, not times.')
    parser.add_argument('--suite', choices=SUITES, required=True,
                        help='what is timed: see README.md')
    parser.add_argument('--rounds', type=positive, default=7,
                        help='how often each variant is timed (default: 7)')
    parser.add_argument('--device', choices=('cpu', 'cuda'),
                        help='default: cuda where there is a GPU')
    parser.add_argument(
        '--compile', action=argparse.BooleanOptionalAction,
        help='time networks compiled as well (default: on a GPU only)')
    parser.add_argument('--json', metavar='OUT', help='write the results')
    parser.add_argument('--force', action='store_true',
                        help='replace OUT if it exists')
    args = parser.parse_args(argv)

    def run():
        import torch
        from timing import Options

        from hpvit_mm.checkpoints.write import check_destination
        from hpvit_mm.utils import replacing
        gpu = torch.cuda.is_available()
        if args.device == 'cuda' and not gpu:
            raise UserError('--device cuda: torch sees no GPU here')
        if args.json is not None:
            check_destination(args.json, args.force)
        device = args.device or ('cuda' if gpu else 'cpu')
        compiled = device == 'cuda' if args.compile is None else args.compile
        result = measure(args.suite, Options(args.rounds, device, compiled))
        if args.json is not None:
            with replacing(args.json) as part:
                part.write_text(json.dumps(result, indent=1) + '\n')

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
