"""Build, check and replace the sample data as a whole.

A build happens in a hidden folder beside the target and is renamed at the
end, so what is at the target is always complete.
"""
import fcntl
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from hpvit_mm.errors import UserError

from . import ade20k, cityscapes, coco, imagenet
from .readme import readme
from .sources import SPLITS, Sources

# Rises whenever the same size and seed would give other bytes.
FORMAT_VERSION = 5
NAME = 'hpvit_mm sample data'
SIZES = (64, 512, 32)
_SETS = dict(
    imagenet=(imagenet, 'imagenet'),
    coco=(coco, 'coco'),
    ade20k=(ade20k, 'ade/ADEChallengeData2016'),
    cityscapes=(cityscapes, 'cityscapes'))


def make_samples(out, size=128, seed=0, counts='default', force=False,
                 progress=None):
    """Build the four sample data sets, deterministically and offline.

    Args:
        out (str | Path): The folder to make. When it already holds the
            complete set that is asked for, nothing is done.
        size (int): Nominal side of the dense scenes, pixels; a multiple of
            32 from 64 to 512. Classification pictures are half as large,
            Cityscapes ones 0.75 x 1.5 times.
        seed (int): Not negative. Same seed and size: same bytes.
        counts (str): 'default', or 'tiny' for about 20 pictures per split,
            which takes 2 seconds and is meant for tests.
        force (bool): Replace older samples at ``out``; anything else is
            never replaced.
        progress (callable | None): Called with (set, split, done, total).

    Returns:
        dict: The contents of ``samples.json``, and 'built', whether anything
        was done.

    Raises:
        UserError: If an argument is out of range, ``out`` holds anything
            else, or cannot be written.
    """
    size, seed = _checked(size, seed, counts)
    out = Path(out)
    # A link to a larger disk stays a link: its target is replaced.
    target = Path(os.path.realpath(out))
    wanted = dict(size=size, seed=seed, counts=counts)
    if _is_there(out, target, wanted, force):
        return dict(check_samples(target), built=False)
    sources = {split: Sources(split) for split in SPLITS}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        work = tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent)
    except OSError as error:
        raise UserError(f'cannot make {out}: {_why(error)}') from None
    work = Path(work)
    try:
        with open(work / 'owner', 'w') as owner:
            _lock(owner)
            summary = _build(work / 'new', sources, wanted, progress)
            _put_in_place(work, out, target, force)
    except OSError as error:
        raise UserError(f'cannot write {out}: {_why(error)}') from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return dict(summary, built=True)


def check_samples(root):
    """Read ``samples.json`` and check that the samples are complete.

    Args:
        root (str | Path): The folder that :func:`make_samples` made.

    Returns:
        dict: The contents of ``samples.json``.

    Raises:
        UserError: If the folder is missing, not ours, of another version,
            or lacks files.
    """
    root = Path(root)
    remedy = f'build it with tools/make_sample_data.py --out {root}'
    if not root.is_dir():
        raise UserError(f'there is no sample data at {root}: {remedy}')
    summary = _read_summary(root)
    if summary is None:
        raise UserError(f'{root} is not a folder of sample data: {remedy}')
    if summary['format_version'] != FORMAT_VERSION:
        raise UserError(f'the sample data at {root} are of another version: '
                        f'{remedy} --force')
    for name, entry in summary['sets'].items():
        files, size = _weigh(root / entry['folder'])
        if (files, size) != (entry['files'], entry['bytes']):
            raise UserError(
                f'the {name} samples at {root} are incomplete or changed '
                f'({files} files of {entry["files"]}, {size} bytes of '
                f'{entry["bytes"]}): {remedy} --force')
    return summary


# ------------------------------------------------------------------ parts
def _checked(size, seed, counts):
    low, high, step = SIZES
    if (not isinstance(size, int) or not low <= size <= high or size % step):
        raise UserError(f'the size must be a multiple of {step} from {low} '
                        f'to {high} pixels, not {size}')
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UserError(
            f'the seed must be an integer from 0 to 2**32 - 1, not {seed}')
    if counts not in ('default', 'tiny'):
        raise UserError(f"the counts are 'default' or 'tiny', not {counts!r}")
    return size, seed


def _is_there(out, target, wanted, force):
    """Whether the wanted set exists; raises if something else is there."""
    if not target.exists():
        return False
    if not target.is_dir():
        raise UserError(f'{out} is a file: give a folder with --out')
    try:
        if not any(target.iterdir()):
            return False
    except OSError as error:
        raise UserError(f'cannot read {out}: {_why(error)}') from None
    summary = _read_summary(target)
    if summary is None:
        raise UserError(
            f'{out} exists and holds something other than sample data, so '
            'it is not touched, not even with --force: give another --out')
    if force:
        _refuse_strangers(out, target, summary)
        return False
    try:
        found = check_samples(target)
    except UserError:
        raise UserError(f'{out} holds sample data that are incomplete or of '
                        'another version: --force replaces them') from None
    if {key: found[key] for key in wanted} != wanted:
        raise UserError(
            f'{out} holds other sample data (size {found["size"]}, seed '
            f'{found["seed"]}, counts {found["counts"]}): give another '
            '--out, or --force to replace them')
    return True


def _read_summary(root):
    """``samples.json``, or None when it is not there or not ours."""
    try:
        summary = json.loads((root / 'samples.json').read_text())
        ours = summary['name'] == NAME and summary['sets'] is not None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return summary if ours else None


def _refuse_strangers(out, target, summary):
    """``--force`` replaces what we made, not what was added by hand."""
    ours = {'README.md', 'samples.json', 'provenance.json'}
    ours |= {Path(e['folder']).parts[0] for e in summary['sets'].values()}
    strangers = sorted({p.name for p in target.iterdir()} - ours)
    for entry in summary['sets'].values():
        if _weigh(target / entry['folder'])[0] > entry['files']:
            strangers.append(entry['folder'] + '/...')
    if strangers:
        raise UserError(
            f'{out} also holds files that are not sample data '
            f'({", ".join(strangers[:3])}): move them away before --force')


def _prefix(target):
    return f'.{target.name}.building-'


def _lock(file):
    """Mark a build as running, for as long as its process lives."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        # Some network file systems have no locks; see _remove_leftovers.
        pass


def _remove_leftovers(target):
    """Delete the work folders of builds that were killed."""
    for work in target.parent.glob(_prefix(target) + '*'):
        try:
            # A build that is just starting has not locked its folder yet.
            # Where locks do not work, an hour is longer than any build.
            age = time.time() - work.stat().st_mtime
            with open(work / 'owner') as owner:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            abandoned = True
        except FileNotFoundError:
            abandoned = age > 60
        except OSError:
            abandoned = age > 3600
        if abandoned:
            shutil.rmtree(work, ignore_errors=True)


def _build(root, sources, wanted, progress):
    root.mkdir()
    sets, provenance = {}, {}
    for name, (module, folder) in _SETS.items():
        entry = dict(folder=folder, classes=list(module.CLASSES))
        for split in SPLITS:
            count = module.COUNTS[wanted['counts']][split]
            if count is None:
                count = len(sources[split].digits)
            entry[split] = count
            written = module.write(root / folder, sources[split], split,
                                   count, wanted['size'], wanted['seed'])
            for done, (path, used) in enumerate(written, 1):
                provenance[f'{folder}/{path}'] = dict(split=split, **used)
                if progress is not None:
                    progress(name, split, done, count)
        sets[name] = entry
    imagenet_entry, coco_entry = sets['imagenet'], sets['coco']
    imagenet_entry['wnids'] = list(imagenet.WNIDS)
    coco_entry['category_ids'] = list(coco.CATEGORY_IDS)
    ade = sets['ade20k']
    ade20k.write_lists(root / ade['folder'], ade)
    ade['palette'] = [list(colour) for colour in ade20k.PALETTE]
    for entry in sets.values():
        entry['files'], entry['bytes'] = _weigh(root / entry['folder'])
    summary = dict(name=NAME, format_version=FORMAT_VERSION, **wanted,
                   sets=sets)
    _dump(provenance, root / 'provenance.json')
    (root / 'README.md').write_text(readme(summary), encoding='utf-8')
    _dump(summary, root / 'samples.json')
    return summary


def _put_in_place(work, out, target, force):
    if target.is_dir() and any(target.iterdir()):
        if not force:
            raise UserError(f'{out} appeared while it was being built: it '
                            'is not touched')
        os.rename(target, work / 'old')
    try:
        os.rename(work / 'new', target)
    except OSError:
        if (work / 'old').exists():
            os.rename(work / 'old', target)
        raise


def _weigh(folder):
    """Number of files below a folder, and their bytes."""
    sizes = [
        os.path.getsize(os.path.join(place, file))
        for place, _, files in os.walk(folder) for file in files
    ]
    return len(sizes), sum(sizes)


def _dump(data, path):
    path.write_text(json.dumps(data, indent=1) + '\n')


def _why(error):
    return error.strerror.lower() if error.strerror else str(error)
