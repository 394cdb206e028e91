#!/usr/bin/env python
"""Train the model of a config file; see --help."""
import sys
from pathlib import Path

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import end_when_asked, finish, run_tool  # noqa: E402

environment.prepare()


def main(argv=None) -> int:
    """Run the tool and return its exit status."""

    def run():
        environment.check_stack()
        from hpvit_mm.engine.run import train
        train(argv)

    return run_tool(run)


if __name__ == '__main__':
    end_when_asked()
    finish(main)
