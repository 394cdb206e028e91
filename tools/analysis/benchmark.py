#!/usr/bin/env python
"""Time HPViT, and what is around it, beside the parts of the host libraries."""
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
    from hpvit_mm.analysis.benchmark import SUITES, Options, run
    parser = argparse.ArgumentParser(
        description='Time HPViT-B, and what is around it, beside the parts '
        'of the host libraries: with the same results, in turns, on the CPU '
        'in fp32 on one thread. Times count as ratios of one run.',
        epilog='suites: ' + '; '.join(f'{k}: {v}' for k, v in SUITES.items()))
    parser.add_argument('--suite', choices=SUITES, required=True)
    parser.add_argument('--rounds', type=int, default=7,
                        help='how often each is timed (default: 7)')
    parser.add_argument('--json', metavar='OUT', help='write the times, too')
    args = parser.parse_args(argv)

    def measure():
        import torch
        print(f'torch {torch.__version__}, Python '
              f'{platform.python_version()}, load '
              f'{os.getloadavg()[0]:.1f} before')
        rows = run(args.suite, Options(args.rounds))
        if args.json:
            Path(args.json).write_text(json.dumps(rows, indent=2) + '\n')

    return run_tool(measure)


if __name__ == '__main__':
    sys.exit(main())
