"""kill -9 at random moments: what comes after is as if nothing had been."""
import json
import random

import pytest
from harness import assert_equal, kill_at

LOADERS = {
    'in the process': '',
    '2 workers': 'train_dataloader.update(num_workers=2)\n',
    '2 persistent workers': 'train_dataloader.update(num_workers=2, '
                            'persistent_workers=True)\n',
}
DRAWN = 'randomness = dict(seed=None)\n'
# Epochs, with images mixed in the main process, and iterations.
KINDS = ('classification', 'segmentation')


def survive(make, left_alone, kind: str, more: str, processes: int,
            kills: int, random_seed: int) -> int:
    """Kill a run again and again, and compare it with one left alone.

    Returns:
        How many of the kills came before the run had ended.
    """
    dice = random.Random(random_seed)
    killed = make(kind, more)
    done, flags = 0, []
    while done < kills:
        running = killed.start(*flags, processes=processes)
        # from the start of the process on, also while checkpoints are saved
        if not kill_at(running, killed, dice.randrange(0, 6),
                       dice.uniform(0, 0.1)):
            break
        done += 1
        flags = ['--resume']
    killed.run('--resume', processes=processes)
    seed = json.loads((killed.work_dir / 'run.json').read_text())['seed']
    alone = left_alone(kind, more, processes, seed)
    for rank in range(processes):
        assert killed.iterations(rank) == alone.iterations(rank)
    assert_equal(killed.final(), alone.final())
    assert killed.diary()[-1] == alone.diary()[-1]  # the metrics
    assert sorted(path.name for path in killed.work_dir.glob('*.pth')) \
        == sorted(path.name for path in alone.work_dir.glob('*.pth'))
    return done


@pytest.mark.slow
def test_a_resumed_run(experiment, left_alone):
    """A sample of the matrix below."""
    assert survive(experiment, left_alone, 'classification',
                   LOADERS['2 persistent workers'] + DRAWN, 1, 2, 0) > 0


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize('processes', [1, 2])
@pytest.mark.parametrize('drawn', [False, True])
@pytest.mark.parametrize('loader', LOADERS)
@pytest.mark.parametrize('kind', [*KINDS, 'detection'])
def test_all_resumed_runs(kind, loader, drawn, processes, experiment,
                          left_alone, fault_table):
    """200 kills and more."""
    more = LOADERS[loader] + DRAWN * drawn
    done = survive(experiment, left_alone, kind, more, processes, 7, 1)
    fault_table('kill -9 at a random moment', done, done, 'nothing')
