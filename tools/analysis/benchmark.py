#!/usr/bin/env python
"""Time HPViT, and what is around it, beside the parts of the hosts."""
import argparse
import json
import sys
from pathlib import Path

# The package beside this folder, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import run_tool  # noqa: E402
from hpvit_mm.errors import UserError  # noqa: E402

environment.prepare()


def positive(text: str) -> int:
    """A number of rounds."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'{text} is no number from 1 on')
    return int(text)


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    from hpvit_mm.analysis.benchmark import SUITES, Options, run
    parser = argparse.ArgumentParser(
        description='Time HPViT-B, and what is around it, beside the parts '
        'of the host libraries: with the same results, in turns, on the CPU '
        'in fp32 on one thread. Times count as ratios of one run.',
        epilog='suites: ' + '; '.join(f'{k}: {v}' for k, v in SUITES.items()))
    parser.add_argument('--suite', choices=SUITES, required=True)
    parser.add_argument('--rounds', type=positive, default=7,
                        help='how often each is timed (default: 7)')
    parser.add_argument('--device', choices=('cpu', 'cuda'),
                        help='default: cuda where there is a GPU')
    parser.add_argument('--compile', action='store_true',
                        help='time networks compiled, too (on a GPU they are)')
    parser.add_argument('--json', metavar='OUT', help='write the times, too')
    parser.add_argument('--force', action='store_true',
                        help='replace OUT if it exists')
    args = parser.parse_args(argv)

    def measure():
        import torch

        from hpvit_mm.checkpoints.write import check_destination
        from hpvit_mm.utils import replacing
        gpu = torch.cuda.is_available()
        if args.device == 'cuda' and not gpu:
            raise UserError('--device cuda: torch sees no GPU here')
        if args.json is not None:
            check_destination(args.json, args.force)
        device = args.device or ('cuda' if gpu else 'cpu')
        result = run(args.suite, Options(
            args.rounds, device, args.compile or device == 'cuda'))
        if args.json is not None:
            with replacing(args.json) as part:
                part.write_text(json.dumps(result, indent=1) + '\n')

    return run_tool(measure)


if __name__ == '__main__':
    sys.exit(main())
