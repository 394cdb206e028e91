#!/usr/bin/env python
"""Print parameters and multiply-adds of a model, stage by stage."""
import argparse
import sys
from pathlib import Path

# The package beside this folder, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import run_tool  # noqa: E402

environment.prepare()


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    from hpvit_mm.engine.arguments import Options
    parser = argparse.ArgumentParser(
        description='Print parameters and multiply-adds of a model: of each '
        'stage of an HPViT, by formula and as executed, of neck and heads. '
        'Neither weights nor data are read.')
    parser.add_argument('config')
    parser.add_argument(
        '--shape', nargs='+', metavar='PIXELS',
        help='height and width of an image, or one number for both '
        '(default: as in the training of the config)')
    parser.add_argument('--cfg-options', nargs='+', action=Options,
                        default={}, metavar='KEY=VALUE',
                        help='as for tools/train.py')
    args = parser.parse_args(argv)

    def run():
        from hpvit_mm.analysis.flops import parse_shape, table
        from hpvit_mm.engine.settings import load_config, merge_options
        size = parse_shape(args.shape) if args.shape else None
        cfg = load_config(args.config)
        merge_options(cfg, args.cfg_options)
        print(table(cfg, size))

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
