#!/usr/bin/env python
"""Print what a config and all that it inherits from come to."""
import argparse
import sys
from pathlib import Path

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import examples, run_tool  # noqa: E402

environment.prepare()  # before a config imports anything


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    from hpvit_mm.engine.arguments import Options
    parser = argparse.ArgumentParser(**examples(
        'Print the whole config, with all that it inherits.',
        'python tools/print_config.py CONFIG --cfg-options '
        'model.backbone.pooling=avg'))
    parser.add_argument('config')
    parser.add_argument('--cfg-options', nargs='+', action=Options,
                        default={}, metavar='KEY=VALUE',
                        help='as for tools/train.py')
    args = parser.parse_args(argv)

    def run():
        from hpvit_mm.engine.settings import load_config, merge_options
        cfg = load_config(args.config)
        merge_options(cfg, args.cfg_options)
        print(cfg.pretty_text, end='')

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
