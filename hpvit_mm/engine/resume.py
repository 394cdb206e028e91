"""Which checkpoint a run starts from, and that none is lost."""
import json
import logging
import os
import random
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from hpvit_mm.checkpoints import read_checkpoint
from hpvit_mm.errors import UserError
from hpvit_mm.utils import replacing

from . import agreement
from .arguments import NEWEST
from .checks.checkpoint import missing_state
from .checks.work_dir import check_work_dir
from .hooks.checkpoint import POINTER
from .hooks.record import RECORD

# What a training can be resumed from, and what CheckpointHook's filename_tmpl
# names.
NUMBERED = r'(?:interim_)?iter_\d+\.pth|epoch_\d+\.pth'
RUN = 'run.json'  # what a run must know before its first checkpoint
LEAST_FREE = 1e6  # bytes, for logs and the copy of the config


@dataclass(frozen=True)
class Place:
    """Where a run keeps its checkpoints, and how it calls them.

    Attributes:
        work_dir: The work dir.
        folder: Where CheckpointHook writes; mostly the work dir.
        numbered: The names of what a training can be resumed from.
    """
    work_dir: Path
    folder: Path
    numbered: str

    @staticmethod
    def of(cfg: Config) -> 'Place':
        """As CheckpointHook understands a config."""
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
        """What a training can be resumed from, in the order of its progress.

        Files that cannot be read come last, as the newest.
        """
        found: Dict[Path, float] = {}
        for path in self.folder.glob('*.pth'):
            if re.fullmatch(self.numbered, path.name):
                reached = iteration(path)
                found[path] = float('inf') if reached is None else reached
        # of one iteration the periodic one
        return sorted(found, key=lambda path: (
            found[path], not path.name.startswith('interim'), path.name))

    def own_files(self) -> List[Path]:
        """All that belongs to a run, and that another one might replace."""
        # with those that were renamed, because they are broken
        own = re.compile(rf'(?:{self.numbered}|best_.+\.pth)(?:\.broken.*)?')
        found = [path for path in {*self.folder.glob('*.pth*')}
                 if own.fullmatch(path.name)]
        return sorted(found) + [path for path in [self.pointer]
                                if path.exists()]

    @property
    def pointer(self) -> Path:
        return self.work_dir / POINTER


@dataclass
class Start:
    """Where a run begins.

    Attributes:
        checkpoint: What is resumed, None for a start from scratch.
        seed: Of all random numbers.
        notes: What the log is told, each with its level.
    """
    checkpoint: Optional[str]
    seed: int
    notes: List[Tuple[str, int]] = field(default_factory=list)


def settle_start(cfg: Config, resume: Optional[str], restart: bool
                 ) -> List[Tuple[str, int]]:
    """Decide where to begin, for all processes, and enter it into the config.

    Rank 0 looks at the work dir, others hear of it: they may not see the same
    yet. Then ``cfg.resume``, ``cfg.load_from`` and the seed are set.

    Args:
        cfg: The config; its ``work_dir`` holds the checkpoints.
        resume: A path, ``NEWEST``, or None for a fresh start.
        restart: Whether a fresh start may put aside what an earlier run left.

    Returns:
        What was said on the way, each with its level, for :func:`note`.

    Raises:
        UserError: If there is no good checkpoint, or a run would be replaced.
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
    for text, level in start.notes:
        print_log(text, logger='current', level=level)
    if start.checkpoint:
        cfg.resume = True
        cfg.load_from = start.checkpoint
    elif resume is not None or cfg.get('resume'):
        cfg.resume = False
    cfg.randomness = cfg.get('randomness') or ConfigDict()
    cfg.randomness.seed = start.seed
    return start.notes


def note(texts: List[Tuple[str, int]], logger: logging.Logger) -> None:
    """Write into the log files what was said before there were any."""
    for text, level in texts:
        record = logger.makeRecord(logger.name, level, __file__, 0, text, (),
                                   None)
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handle(record)


def find_start(cfg: Config, resume: Optional[str], restart: bool) -> Start:
    """Look at the work dir, in one process."""
    place = Place.of(cfg)
    start = Start(None, (cfg.get('randomness') or {}).get('seed'))
    if resume is None and cfg.get('resume') and not restart:
        resume = cfg.get('load_from') or NEWEST
    check_writable(place)
    if restart:
        if resume is not None:
            raise UserError('--restart begins anew, and --resume goes on: '
                            'give one of them')
        put_aside(place, start)
    elif resume is None:
        refuse_overwriting(place)
    elif resume == NEWEST:
        newest_good(place, start)
    else:
        start.checkpoint = named(resume, place)
    settle_seed(place.work_dir, start)
    return start


def check_writable(place: Place) -> None:
    """Before anything is renamed: there must be room for a run."""
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
    """The checkpoint of ``--resume PATH``, if it is a good one."""
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
            f'--resume {path}: {later[-1].name} in the same folder is from '
            'later, and would be replaced on the way; name another '
            '--work-dir, or move later checkpoints away')
    return path


def newest_good(place: Place, start: Start) -> None:
    """Find the newest checkpoint that can be read, and say what cannot."""
    found = place.checkpoints()
    say_pointer(place, found, start)
    broken = {}
    while found:
        path = found.pop()
        error = damage(path)
        if error:
            broken[path] = error
            continue
        start.checkpoint = str(path)
        # out of the way: this run will write some of the same names
        for bad, error in broken.items():
            aside = unused(bad.with_name(bad.name + '.broken'))
            bad.rename(aside)
            start.notes.append((
                f'{bad} cannot be resumed from, {error}. It is renamed to '
                f'{aside.name}, and the next older checkpoint is tried.',
                logging.WARNING))
        return
    own = place.own_files()
    if own:
        reasons = '; '.join(f'{path.name}: {error}'
                            for path, error in list(broken.items())[:3])
        raise UserError(
            f'{place.work_dir} is the work dir of an earlier run, but has no '
            'checkpoint that training can continue from ('
            + (reasons or ', '.join(path.name for path in own[:5]))
            + '): restore one, or begin anew with --restart, which puts '
            'these aside')
    start.notes.append((f'{place.work_dir} holds no checkpoint to resume '
                        'from: starting from scratch', logging.INFO))


def say_pointer(place: Place, found: List[Path], start: Start) -> None:
    """Say what is wrong with ``last_checkpoint``; it is not relied upon."""
    if not found:
        return
    pointer = place.pointer
    text = pointer.read_text(errors='replace').strip() \
        if pointer.is_file() else None
    if text is None:
        problem = 'is missing'
    elif not text:
        problem = 'is empty'
    elif not (place.work_dir / text).is_file() and not \
            (place.folder / os.path.basename(text)).is_file():
        problem = f'names {text}, which is not there'
    else:
        return
    start.notes.append((f'{pointer} {problem}: the newest checkpoint is '
                        'looked for', logging.WARNING))


def iteration(path: Path) -> Optional[int]:
    """How many iterations a checkpoint has behind it, None if unreadable."""
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
        return 'its meta does not tell epoch and iter'
    return None


def refuse_overwriting(place: Place) -> None:
    """What an earlier run has reached must not be replaced."""
    if place.own_files():
        raise UserError(
            f'the work dir {place.work_dir} holds checkpoints of an earlier '
            'run, which this one would overwrite; add --resume, without a '
            'path, to continue it, --restart to put them aside and begin '
            'anew, or name another --work-dir')


def put_aside(place: Place, start: Start) -> None:
    """Move what an earlier run left, into a folder beside it."""
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
        start.notes.append((
            f'--restart: {len(files)} files of an earlier run are in '
            + ' and '.join(sorted(map(str, asides.values()))) + ' now',
            logging.INFO))


def unused(path: Path) -> Path:
    """A path, or the first of path_2, path_3, ... that does not exist."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f'{path.name}_{number}')
    return free


def settle_seed(work_dir: Path, start: Start) -> None:
    """The seed of the config, of the run that is resumed, or a drawn one.

    A drawn one is written down before the first step, for the case that there
    is no checkpoint when the run is killed.
    """
    if start.seed is None and start.checkpoint:
        meta = read_checkpoint(start.checkpoint, verify=False)['meta']
        record = meta.get(RECORD)
        start.seed = (record if isinstance(record, dict) else meta).get('seed')
    file = work_dir / RUN
    known = {}
    with suppress(OSError, ValueError):
        read = json.loads(file.read_text())
        known = read if isinstance(read, dict) else {}
    if start.seed is None and isinstance(known.get('seed'), int):
        start.seed = known['seed']
    if start.seed is None:
        start.seed = random.SystemRandom().randrange(2**31)
    if known.get('seed') != start.seed:
        with replacing(file) as part:
            part.write_text(json.dumps(dict(known, seed=start.seed)) + '\n')
