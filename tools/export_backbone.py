#!/usr/bin/env python
"""Write the backbone of a training checkpoint to a file of its own.

The file holds nothing but the backbone's tensors, so that an init_cfg, or a
colleague, can use it without the heads and the optimizer's state.
"""
import argparse
import sys
from pathlib import Path

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpvit_mm.cli import run_tool  # noqa: E402


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description='Write the backbone of a checkpoint to a file.')
    parser.add_argument('checkpoint', help='a checkpoint of a training')
    parser.add_argument('out', type=Path, help='the file to write, a .pth')
    args = parser.parse_args(argv)

    def run():
        import torch

        from hpvit_mm.checkpoints import backbone_tensors, read_checkpoint
        from hpvit_mm.errors import UserError
        if args.out.exists():
            raise UserError(f'{args.out} exists and is not overwritten: '
                            'choose another name, or delete it.')
        tensors = backbone_tensors(
            read_checkpoint(args.checkpoint), args.checkpoint)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        torch.save({'model': {k: v.clone() for k, v in tensors.items()}},
                   args.out)
        count = sum(tensor.numel() for tensor in tensors.values())
        print(f'{args.out}: {len(tensors)} tensors, {count:,} numbers')

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
