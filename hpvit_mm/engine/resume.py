"""Decide which checkpoint a run starts from."""
import itertools
import json
import logging
import os
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from hpvit_mm.checkpoints import read_checkpoint
from hpvit_mm.errors import UserError
from hpvit_mm.utils import replacing, shorten

from . import agreement
from .arguments import NEWEST
from .checks.checkpoint import missing_state
from .checks.work_dir import check_work_dir
from .hooks.checkpoint import POINTER
from .hooks.record import RECORD

# Checkpoints that can be resumed, beside those of CheckpointHook's
# filename_tmpl.
NUMBERED = r'(?:interim_)?iter_\d+\.pth|epoch_\d+\.pth'
RUN = 'run.json'  # holds the seed, for runs without a checkpoint


@dataclass(frozen=True)
class Place:
    """Folders and names of the checkpoints of a run.

    Attributes:
        work_dir: The work dir.
        folder: Where CheckpointHook writes; by default the work dir.
        numbered: Pattern of the names of checkpoints that can be resumed.
    """
    work_dir: Path
    folder: Path
    numbered: str

    @staticmethod
    def of(cfg: Config) -> 'Place':
        """Read it from a config, as CheckpointHook does."""
        hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
        work_dir = os.path.abspath(cfg.work_dir)
        folder = cfg.work_dir
        if (hook.get('out_dir') or work_dir) != work_dir:
            folder = os.path.join(hook.out_dir, os.path.basename(work_dir))
        numbered = NUMBERED
        if hook.get('filename_tmpl'):
            numbered += '|' + re.escape(hook['filename_tmpl']).replace(
                re.escape('{}'), r'\d+')
        return Place(Path(cfg.work_dir), Path(folder), numbered)

    def checkpoints(self) -> List[Path]:
        """All checkpoints that can be resumed, by iteration.

        Files that cannot be read come last, as the newest. Of one iteration
        the periodic checkpoint comes last.
        """
        def order(path: Path) -> tuple:
            reached = iteration(path)
            return (float('inf') if reached is None else reached,
                    not path.name.startswith('interim'), path.name)

        return sorted((path for path in self.folder.glob('*.pth')
                       if re.fullmatch(self.numbered, path.name)), key=order)

    def own_files(self) -> List[Path]:
        """All files of a run that another run might overwrite."""
        own = re.compile(rf'(?:{self.numbered}|best_.+\.pth)(?:\.broken.*)?')
        found = sorted(path for path in {*self.folder.glob('*.pth*')}
                       if own.fullmatch(path.name))
        return found + [self.pointer] * self.pointer.exists()

    @property
    def pointer(self) -> Path:
        return self.work_dir / POINTER


def settle_start(cfg: Config, resume: Optional[str], restart: bool) -> None:
    """Decide where to start, and set ``resume``, ``load_from`` and the seed.

    Rank 0 decides for all, because others may not see the same files yet.

    Args:
        cfg: The config; its ``work_dir`` holds the checkpoints.
        resume: A path, ``NEWEST``, or None for a start from scratch.
        restart: Whether to move the files of an earlier run aside.

    Raises:
        UserError: If no checkpoint is usable, or a run would be overwritten.
    """
    checkpoint = seed = error = None
    if is_main_process():
        try:
            checkpoint, seed = find_start(cfg, resume, restart)
        except UserError as one:
            error = str(one)
    checkpoint, seed, error = agreement.of_first((checkpoint, seed, error))
    if error:
        raise UserError(error)
    if checkpoint:
        cfg.resume = True
        cfg.load_from = checkpoint
    elif resume is not None or cfg.get('resume'):
        cfg.resume = False
    cfg.randomness = cfg.get('randomness') or ConfigDict()
    cfg.randomness.seed = seed


def find_start(cfg: Config, resume: Optional[str],
               restart: bool) -> Tuple[Optional[str], int]:
    """Find the checkpoint to resume, if any, and the seed, in one process."""
    place = Place.of(cfg)
    if resume is None and cfg.get('resume') and not restart:
        resume = cfg.get('load_from') or NEWEST
    check_work_dir(place.work_dir)
    check_work_dir(place.folder, 'the folder of checkpoints',
                   'correct default_hooks.checkpoint.out_dir')
    checkpoint = None
    if restart:
        if resume is not None:
            raise UserError('--restart starts from scratch and --resume '
                            'continues: give one of them')
        put_aside(place)
    elif resume is None:
        refuse_overwriting(place)
    elif resume == NEWEST:
        checkpoint = newest_good(place)
    else:
        checkpoint = named(resume, place)
    seed = (cfg.get('randomness') or {}).get('seed')
    return checkpoint, settle_seed(place.work_dir, checkpoint, seed)


def named(path: str, place: Place) -> str:
    """Check the checkpoint of ``--resume PATH``."""
    if '://' in path:
        refuse_overwriting(place)
        return path
    if not Path(path).is_file():
        raise UserError(f'--resume {path}: there is no such file; name a '
                        'checkpoint, or none for the newest in the work dir')
    error = damage(Path(path))
    if error:
        raise UserError(f'--resume {path}: {error}')
    if Path(path).resolve().parent != place.folder.resolve():
        refuse_overwriting(place)
        return path
    reached = iteration(Path(path))
    later = [one for one in place.checkpoints()
             if (iteration(one) or 0) > reached]
    if later:
        raise UserError(
            f'--resume {path}: the run would overwrite {later[-1].name} in '
            'the same folder, which is from a later iteration; name another '
            '--work-dir, or move later checkpoints away')
    return path


def newest_good(place: Place) -> Optional[str]:
    """Find the newest checkpoint that is whole; rename the broken ones.

    They are renamed because this run will write files of the same names.
    """
    broken = {}
    for path in reversed(place.checkpoints()):
        error = damage(path)
        if error:
            broken[path] = error
            continue
        for bad, error in broken.items():
            aside = bad.rename(unused(bad.with_name(bad.name + '.broken')))
            say(f'{bad} cannot be resumed from, {error}. It is renamed to '
                f'{aside.name}, and the next older checkpoint is tried.',
                logging.WARNING)
        return str(path)
    own = place.own_files()
    if own:
        reasons = [f'{path.name}: {error}' for path, error in broken.items()]
        raise UserError(
            f'{place.work_dir} is the work dir of an earlier run, but has no '
            'checkpoint that training can continue from ('
            + shorten(reasons or [path.name for path in own], sep='; ')
            + '): restore one, or add --restart to move these aside and start '
            'from scratch')
    say(f'{place.work_dir} holds no checkpoint to resume from: starting from '
        'scratch')
    return None


def iteration(path: Path) -> Optional[int]:
    """The iteration of a checkpoint, None if it cannot be read."""
    try:
        reached = read_checkpoint(path, verify=False)['meta']['iter']
    except (UserError, KeyError, TypeError):
        return None
    return reached if isinstance(reached, int) else None


def damage(path: Path) -> Optional[str]:
    """Explain why a file cannot be resumed from; None if it can."""
    try:
        content = read_checkpoint(path)
    except UserError as error:
        return str(error)
    missing = missing_state(content, str(path))
    if missing:
        return missing
    meta = content['meta']
    if not isinstance(meta, dict) or not all(
            isinstance(meta.get(key), int) for key in ('epoch', 'iter')):
        return 'its meta has no epoch or iter'
    return None


def refuse_overwriting(place: Place) -> None:
    """Raise if a new run would overwrite the checkpoints of an earlier one."""
    if place.own_files():
        raise UserError(
            f'the work dir {place.work_dir} holds checkpoints of an earlier '
            'run, which this one would overwrite; add --resume, without a '
            'path, to continue it, --restart to move them aside and start '
            'from scratch, or name another --work-dir')


def put_aside(place: Place) -> None:
    """Move the files of an earlier run into a folder beside them."""
    files = place.own_files() + [place.work_dir / RUN]
    asides = {folder: unused(folder / 'before_restart')
              for folder in {path.parent for path in files}}
    for path in files:
        if path.exists():
            aside = asides[path.parent]
            aside.mkdir(exist_ok=True)
            path.rename(aside / path.name)
            say(f'--restart: {path} is {aside / path.name} now')


def unused(path: Path) -> Path:
    """The first of path, path_2, path_3, ... that does not exist."""
    numbers = itertools.count(2)
    free = path
    while free.exists():
        free = path.with_name(f'{path.name}_{next(numbers)}')
    return free


def settle_seed(work_dir: Path, checkpoint: Optional[str],
                seed: Optional[int]) -> int:
    """The seed of the config, of the resumed run, or a random one.

    It is written to run.json before the first step, for the case that the
    run is killed before its first checkpoint.
    """
    if seed is None and checkpoint:
        meta = read_checkpoint(checkpoint, verify=False)['meta']
        seed = (meta.get(RECORD) or meta).get('seed')
    file = work_dir / RUN
    try:
        known = json.loads(file.read_text())['seed']
    except (OSError, ValueError, LookupError, TypeError):  # none, or cut off
        known = None
    if seed is None:
        seed = random.SystemRandom().randrange(2**31) if known is None \
            else known
    if seed != known:
        with replacing(file) as part:
            part.write_text(json.dumps(dict(seed=seed)) + '\n')
    return seed


def say(text: str, level: int = logging.INFO) -> None:
    """Log, before there is a runner."""
    print_log(text, logger='current', level=level)
