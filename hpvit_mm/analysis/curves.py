"""Loss and validation curves, from what mmengine writes while it trains.

Every start of a run makes a folder named by its time, with the numbers in
``vis_data/scalars.json``: one JSON object per line, in the order of events.
"""
import json
from pathlib import Path
from typing import Dict, List, Tuple

Points = List[Tuple[int, float]]


def read_curves(work_dir: Path, metric: str) -> Dict[str, Points]:
    """The curves of a training, of all its starts together.

    A resumed run repeats what came after its checkpoint; what the earlier
    start said about that part is dropped.

    Args:
        work_dir: The work dir of the run.
        metric: The name of the validation metric, such as 'mIoU'.

    Returns:
        'loss' and 'metric', each a list of (iteration, value).
    """
    loss, values = [], []
    for path in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        new_loss, new_values = read_scalars(path, metric)
        if not new_loss:
            continue
        first = new_loss[0][0]
        loss = [point for point in loss if point[0] < first] + new_loss
        values = [point for point in values
                  if point[0] < first] + new_values
    return dict(loss=loss, metric=values)


def read_scalars(path: Path, metric: str) -> Tuple[Points, Points]:
    """Losses and validation results of one start of a run.

    The loops by epoch log a validation under its epoch, those by iteration
    under its iteration. Both write it right after the training that it
    judges, so its place in the file gives the iteration for both.
    """
    loss, values = [], []
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # cut short by a kill
            continue
        if 'loss' in row:
            loss.append((row['step'], row['loss']))
        elif metric in row and loss:
            values.append((loss[-1][0], row[metric]))
    return loss, values
