"""Which checkpoint a run starts from, and that none is overwritten."""
import re
from pathlib import Path
from typing import Optional

from mmengine.config import Config
from mmengine.logging import print_log

from hpvit_mm.errors import UserError

from .arguments import NEWEST

NUMBERED = re.compile(r'(?:epoch|iter)_(\d+)\.pth')


def resume_from(cfg: Config, resume: Optional[str]) -> None:
    """Turn --resume into ``cfg.resume`` and ``cfg.load_from``.

    Args:
        cfg: The config; its ``work_dir`` holds the checkpoints.
        resume: A path, ``NEWEST``, or None for a fresh start.
    """
    work_dir = Path(cfg.work_dir)
    if resume is None and cfg.get('resume'):
        resume = cfg.get('load_from') or NEWEST
    if resume is None:
        refuse_overwriting(work_dir)
        return
    if resume == NEWEST:
        newest = newest_checkpoint(work_dir)
        if newest is None:
            cfg.resume = False
            print_log(f'{work_dir} holds no checkpoint to resume from: '
                      'starting from scratch', logger='current')
            return
        resume = str(newest)
    elif '://' not in resume and not Path(resume).is_file():
        raise UserError(f'--resume {resume}: this file does not exist; name '
                        'a checkpoint, or none for the newest in the work '
                        'dir')
    cfg.resume = True
    cfg.load_from = resume


def newest_checkpoint(work_dir: Path) -> Optional[Path]:
    """The newest checkpoint of a work dir, None where there is none.

    ``last_checkpoint`` names it by an absolute path, which is stale once the
    folder was moved or copied; its last part is not.
    """
    pointer = work_dir / 'last_checkpoint'
    if pointer.is_file():
        named = Path(pointer.read_text().strip())
        for path in (named, work_dir / named.name):
            if path.is_file():
                return path
    numbered = checkpoints(work_dir)
    return numbered[-1] if numbered else None


def checkpoints(work_dir: Path) -> list:
    """The periodic checkpoints of a work dir, oldest first."""
    files = [path for path in work_dir.glob('*.pth')
             if NUMBERED.fullmatch(path.name)]
    return sorted(files, key=lambda path: int(
        NUMBERED.fullmatch(path.name).group(1)))


def refuse_overwriting(work_dir: Path) -> None:
    """A fresh run must not replace what an earlier one has reached."""
    if checkpoints(work_dir) or (work_dir / 'last_checkpoint').exists():
        raise UserError(
            f'the work dir {work_dir} holds checkpoints of an earlier run, '
            'which a fresh start would overwrite; add --resume to continue '
            'it, or name another --work-dir')
