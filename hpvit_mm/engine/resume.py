"""Decide which checkpoint a run starts from."""
import json
import logging
import os
import random
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

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
LEAST_FREE = 1e6  # bytes, for logs and the copy of the config


@dataclass(frozen=True)
class Place:
    """Where a run keeps its checkpoints.

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


@dataclass
class Start:
    """Where a run starts.

    Attributes:
        checkpoint: The checkpoint to resume; None for a start from scratch.
        seed: Seed of all random numbers.
    """
    checkpoint: Optional[str]
    seed: int


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
    start = error = None
    if is_main_process():
        try:
            start = find_start(cfg, resume, restart)
        except UserError as one:
            error = str(one)
    start, error = agreement.of_first((start, error))
    if error:
        raise UserError(error)
    if start.checkpoint:
        cfg.resume = True
        cfg.load_from = start.checkpoint
    elif resume is not None or cfg.get('resume'):
        cfg.resume = False
    cfg.randomness = cfg.get('randomness') or ConfigDict()
    cfg.randomness.seed = start.seed


def find_start(cfg: Config, resume: Optional[str], restart: bool) -> Start:
    """Decide where to start, in one process; see :func:`settle_start`."""
    place = Place.of(cfg)
    if resume is None and cfg.get('resume') and not restart:
        resume = cfg.get('load_from') or NEWEST
    check_writable(place)
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
    return Start(checkpoint, settle_seed(place.work_dir, checkpoint, seed))


def check_writable(place: Place) -> None:
    """Check that there is room for a run, before anything is renamed."""
    if place.pointer.is_dir():
        raise UserError(f'{place.pointer} is a folder, but it is the name of '
                        'a file that each run writes; rename it')
    check_work_dir(place.work_dir)
    check_work_dir(place.folder, 'the folder of checkpoints',
                   'correct default_hooks.checkpoint.out_dir')
    for folder in (place.work_dir, place.folder):
        free = shutil.disk_usage(folder).free
        if free < LEAST_FREE:
            raise UserError(
                f'the disk of {folder} is full ({free / 1e6:.1f} MB are '
                'free): free some space, or name another --work-dir')


def named(path: str, place: Place) -> str:
    """Check the checkpoint of ``--resume PATH``."""
    if '://' in path:
        refuse_overwriting(place)
        return path
    if Path(path).is_dir():
        raise UserError(f'--resume {path}: this is a folder; name a '
                        'checkpoint in it, or none for the newest in the '
                        'work dir (--work-dir)')
    if not Path(path).is_file():
        raise UserError(f'--resume {path}: this file does not exist; name a '
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
            aside = unused(bad.with_name(bad.name + '.broken'))
            bad.rename(aside)
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
    """Why training cannot continue from a file; None if it can."""
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
    files = place.own_files()
    if (place.work_dir / RUN).exists():
        files.append(place.work_dir / RUN)
    asides = {folder: unused(folder / 'before_restart')
              for folder in {path.parent for path in files}}
    for path in files:
        aside = asides[path.parent]
        aside.mkdir(exist_ok=True)
        path.rename(aside / path.name)
    if files:
        say(f'--restart: {len(files)} files of an earlier run are in '
            + ' and '.join(sorted(map(str, asides.values()))) + ' now')


def unused(path: Path) -> Path:
    """The first of path, path_2, path_3, ... that does not exist."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f'{path.name}_{number}')
    return free


def settle_seed(work_dir: Path, checkpoint: Optional[str],
                seed: Optional[int]) -> int:
    """The seed of the config, of the resumed run, or a random one.

    It is written to run.json before the first step, for the case that the
    run is killed before its first checkpoint.
    """
    if seed is None and checkpoint:
        meta = read_checkpoint(checkpoint, verify=False)['meta']
        record = meta.get(RECORD)
        seed = (record if isinstance(record, dict) else meta).get('seed')
    file = work_dir / RUN
    known = {}
    with suppress(OSError, ValueError):
        read = json.loads(file.read_text())
        known = read if isinstance(read, dict) else {}
    if seed is None and isinstance(known.get('seed'), int):
        seed = known['seed']
    if seed is None:
        seed = random.SystemRandom().randrange(2**31)
    if known.get('seed') != seed:
        with replacing(file) as part:
            part.write_text(json.dumps(dict(known, seed=seed)) + '\n')
    return seed


def say(text: str, level: int = logging.INFO) -> None:
    """Log, before there is a runner."""
    print_log(text, logger='current', level=level)
