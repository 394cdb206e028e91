#!/usr/bin/env python
"""Publish a training checkpoint."""
import argparse
import sys
from pathlib import Path

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpvit_mm.cli import examples, run_tool  # noqa: E402


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(**examples(
        'Write the weights of a checkpoint, without optimizer '
        'and logs, to OUT-<hash>.pth and OUT-<hash>.safetensors.',
        'python tools/publish_checkpoint.py '
        'work_dirs/x/epoch_100.pth hpvit-base'))
    parser.add_argument('checkpoint', metavar='IN',
                        help='a training checkpoint')
    parser.add_argument('out', metavar='OUT',
                        help='name of the files, without ending')
    parser.add_argument('--force', action='store_true',
                        help='replace files that exist')
    args = parser.parse_args(argv)

    def run():
        from hpvit_mm.checkpoints.publish import publish
        for path in publish(args.checkpoint, args.out, args.force):
            print(f'{path}  {path.stat().st_size / 1e6:,.1f} MB')

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
