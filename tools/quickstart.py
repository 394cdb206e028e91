#!/usr/bin/env python
"""Train and test four small experiments and report; see --help."""
import sys
from pathlib import Path

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpvit_mm.analysis.quickstart import main  # noqa: E402

if __name__ == '__main__':
    sys.exit(main())
