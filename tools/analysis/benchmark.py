#!/usr/bin/env python
"""Time HPViT beside the same network of mmpretrain's parts."""
import argparse
import json
import os
import platform
import sys
from pathlib import Path

# The package beside this folder, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import run_tool  # noqa: E402

environment.prepare()


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    from hpvit_mm.analysis.benchmark import CASES, run
    parser = argparse.ArgumentParser(
        description='Time HPViT-B beside the same network, with the same '
        "weights, of mmpretrain's parts: on the CPU, in fp32, on one thread, "
        'in turns. Times count as ratios of one run.')
    parser.add_argument('cases', nargs='*', metavar='CASE',
                        help=f'some of {", ".join(CASES)} (default: all)')
    parser.add_argument('--rounds', type=int, default=7,
                        help='how often each is timed (default: 7)')
    parser.add_argument('--json', metavar='OUT', help='write the times, too')
    args = parser.parse_args(argv)
    unknown = sorted(set(args.cases) - set(CASES))
    if unknown:
        parser.error(f'there is no case {unknown[0]}: choose from '
                     f'{", ".join(CASES)}')

    def measure():
        import torch
        print(f'torch {torch.__version__}, Python '
              f'{platform.python_version()}, load '
              f'{os.getloadavg()[0]:.1f} before')
        rows = run(args.cases or list(CASES), args.rounds)
        if args.json:
            Path(args.json).write_text(json.dumps(rows, indent=2) + '\n')

    return run_tool(measure)


if __name__ == '__main__':
    sys.exit(main())
