"""Read the logs of trainings."""
import json
from pathlib import Path
from typing import Dict, Union

from hpvit_mm.errors import UserError

# Entries of a line that say where it is.
PLACES = ('step', 'iter', 'epoch')
Curve = Dict[int, float]


def read_curves(work_dir: Union[str, Path]) -> Dict[str, Curve]:
    """Read what a training logged.

    Each start of a training writes a log of its own. A resumed one repeats
    what came after its checkpoint, which replaces what the log before says.

    Args:
        work_dir: The work dir of the training.

    Returns:
        Name -> iteration -> value. Metrics of validations are at the last
        logged iteration before them.

    Raises:
        UserError: If there is no log.
    """
    curves: Dict[str, Curve] = {}
    for path in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        step = None
        for line in path.read_text(encoding='utf-8').splitlines():
            try:
                row = json.loads(line)
            except ValueError:  # cut off by a kill
                continue
            if 'lr' in row or 'loss' in row:  # of the training
                if step is None:
                    curves = {name: {at: value for at, value in curve.items()
                                     if at < row['step']}
                              for name, curve in curves.items()}
                step = row['step']
            elif step is not None:
                row = {name: value for name, value in row.items()
                       if not name.endswith('time')}
            if step is not None:
                for name, value in row.items():
                    if name not in PLACES and isinstance(value, (int, float)):
                        curves.setdefault(name, {})[step] = value
    if not curves:
        raise UserError(f'{work_dir} has no log of a training '
                        '(*/vis_data/scalars.json): give the work dir of one')
    return curves
