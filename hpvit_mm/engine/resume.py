"""Which checkpoint a run starts from, and that none is lost."""
import json
import logging
import os
import random
import re
import zipfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from hpvit_mm.checkpoints import read_checkpoint
from hpvit_mm.checkpoints.write import replacing
from hpvit_mm.errors import UserError

from . import agreement
from .arguments import NEWEST
from .checks.checkpoint import missing_state
from .hooks.checkpoint import POINTER
from .hooks.record import RECORD

# What a training can be resumed from.
NUMBERED = re.compile(r'(?:(?:interim_)?iter|epoch)_\d+\.pth')
# All that belongs to a run, and that another one might replace.
OWN = re.compile(r'(?:(?:interim_)?iter|epoch)_\d+\.pth|best_.+\.pth')
RUN = 'run.json'  # what a run must know before its first checkpoint


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
    cfg.setdefault('randomness', ConfigDict())['seed'] = start.seed
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
    work_dir = Path(cfg.work_dir)
    folder = checkpoint_folder(cfg)
    start = Start(None, (cfg.get('randomness') or {}).get('seed'))
    if resume is None and cfg.get('resume') and not restart:
        resume = cfg.get('load_from') or NEWEST
    if restart:
        if resume is not None:
            raise UserError('--restart begins anew, and --resume goes on: '
                            'give one of them')
        put_aside(work_dir, folder, start)
    elif resume is None:
        refuse_overwriting(work_dir, folder)
    elif resume == NEWEST:
        newest_good(work_dir, folder, start)
    else:
        start.checkpoint = named(resume, folder)
    settle_seed(work_dir, start)
    return start


def checkpoint_folder(cfg: Config) -> Path:
    """Where CheckpointHook writes."""
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    out_dir = hook.get('out_dir')
    if out_dir and out_dir != cfg.work_dir:
        return Path(out_dir, os.path.basename(cfg.work_dir.rstrip('/')))
    return Path(cfg.work_dir)


def named(path: str, folder: Path) -> str:
    """The checkpoint of ``--resume PATH``, if it is a good one."""
    if '://' in path:
        return path
    if not Path(path).is_file():
        raise UserError(f'--resume {path}: this file does not exist; name a '
                        'checkpoint, or none for the newest in the work dir')
    error = damage(Path(path))
    if error:
        raise UserError(f'--resume {path}: {error}')
    reached = iteration(Path(path))
    later = [one for one in checkpoints(folder)
             if (iteration(one) or 0) > reached]
    if later and Path(path).resolve().parent == folder.resolve():
        raise UserError(
            f'--resume {path}: {later[-1].name} in the same folder is from '
            'later, and would be replaced on the way; name another '
            '--work-dir, or move later checkpoints away')
    return path


def newest_good(work_dir: Path, folder: Path, start: Start) -> None:
    """Find the newest checkpoint that can be read, and say what cannot."""
    say_pointer(work_dir, folder, start)
    found = checkpoints(folder)
    while found:
        path = found.pop()
        error = damage(path)
        if not error:
            start.checkpoint = str(path)
            return
        # out of the way: this run will write one of the same name
        broken = unused(path.with_name(path.name + '.broken'))
        path.rename(broken)
        start.notes.append((
            f'{path} cannot be resumed from, {error}. It is renamed to '
            f'{broken.name}, and the next older checkpoint is tried.',
            logging.WARNING))
    own = [path for path in work_dir.glob('*.pth*')
           if OWN.match(path.name)]
    if own:
        raise UserError(
            f'{work_dir} is the work dir of an earlier run, but has no '
            'checkpoint that training can continue from ('
            + ', '.join(sorted(path.name for path in own)[:5])
            + '): restore one, or begin anew with --restart, which puts '
            'these aside')
    start.notes.append((f'{work_dir} holds no checkpoint to resume from: '
                        'starting from scratch', logging.INFO))


def say_pointer(work_dir: Path, folder: Path, start: Start) -> None:
    """Say what is wrong with ``last_checkpoint``; it is not relied upon."""
    if not checkpoints(folder):
        return
    pointer = work_dir / POINTER
    text = pointer.read_text(errors='replace').strip() \
        if pointer.is_file() else None
    if text is None:
        problem = 'is missing'
    elif not text:
        problem = 'is empty'
    elif not (work_dir / text).is_file() and not \
            (folder / os.path.basename(text)).is_file():
        problem = f'names {text}, which is not there'
    else:
        return
    start.notes.append((f'{pointer} {problem}: the newest checkpoint is '
                        'looked for', logging.WARNING))


def checkpoints(folder: Path) -> List[Path]:
    """What a training can be resumed from, in the order of its progress.

    Files that cannot be read come last, as the newest.
    """
    found: Dict[Path, float] = {}
    for path in folder.glob('*.pth'):
        if NUMBERED.fullmatch(path.name):
            reached = iteration(path)
            found[path] = float('inf') if reached is None else reached
    # of one iteration the periodic one
    return sorted(found, key=lambda path: (
        found[path], not path.name.startswith('interim'), path.name))


def iteration(path: Path) -> Optional[int]:
    """How many iterations a checkpoint has behind it, None if unreadable."""
    try:
        reached = read_checkpoint(path)['meta']['iter']
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
    if zipfile.is_zipfile(path):
        try:  # torch does not look at the checksums
            with zipfile.ZipFile(path) as file:
                broken = file.testzip()
        except (OSError, zipfile.BadZipFile) as error:
            broken = str(error)
        if broken:
            return f'it is damaged: {broken} does not have its checksum'
    return None


def refuse_overwriting(work_dir: Path, folder: Path) -> None:
    """A fresh run must not replace what an earlier one has reached."""
    if own_files(work_dir, folder):
        raise UserError(
            f'the work dir {work_dir} holds checkpoints of an earlier run, '
            'which a fresh start would overwrite; add --resume to continue '
            'it, --restart to put them aside and begin anew, or name another '
            '--work-dir')


def own_files(work_dir: Path, folder: Path) -> List[Path]:
    """Checkpoints of an earlier run, and what tells of them."""
    found = [path for path in {*folder.glob('*.pth*')}
             if OWN.match(path.name)]
    return sorted(found) + [path for path in [work_dir / POINTER]
                            if path.exists()]


def put_aside(work_dir: Path, folder: Path, start: Start) -> None:
    """Move what an earlier run left into a folder of its own."""
    files = own_files(work_dir, folder)
    if (work_dir / RUN).exists():
        files.append(work_dir / RUN)
    if not files:
        return
    aside = unused(work_dir / 'before_restart')
    aside.mkdir()
    for path in files:
        path.rename(aside / path.name)
    start.notes.append((f'--restart: {len(files)} files of an earlier run are '
                        f'in {aside} now', logging.INFO))


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
        meta = read_checkpoint(start.checkpoint)['meta']
        record = meta.get(RECORD)
        start.seed = (record if isinstance(record, dict) else meta).get('seed')
    file = work_dir / RUN
    known = {}
    with suppress(OSError, ValueError):
        known = json.loads(file.read_text())
    if start.seed is None and isinstance(known.get('seed'), int):
        start.seed = known['seed']
    if start.seed is None:
        start.seed = random.SystemRandom().randrange(2**31)
    if known.get('seed') != start.seed:
        with replacing(file) as part:
            part.write_text(json.dumps(dict(known, seed=start.seed)) + '\n')
