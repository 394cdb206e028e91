"""Stamps: small files that tell what a step was made from, and when.

A step is finished when its stamp says so, names the same origins as now, and
its outputs are there. The stamp is written whole or not at all, so that a
process may be killed at any moment.
"""
import hashlib
import json
import os
from pathlib import Path
from typing import Iterable, List, Optional

RUNNING, DONE = 'running', 'done'


def write_json(path: Path, data: dict) -> None:
    """Write a file whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + '.new')
    with open(new, 'w') as file:
        file.write(json.dumps(data, indent=1) + '\n')
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def read_json(path: Path) -> Optional[dict]:
    """The contents of a file, None where there is none that can be read."""
    try:
        data = json.loads(Path(path).read_text())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def digest(*parts) -> str:
    """A short fingerprint of texts and bytes."""
    result = hashlib.sha256()
    for part in parts:
        part = part.encode() if isinstance(part, str) else part
        result.update(b'%d ' % len(part) + part)
    return result.hexdigest()[:16]


def digest_files(paths: Iterable[Path]) -> str:
    """A fingerprint of the contents of files, in the order of their names."""
    return digest(*(Path(path).read_bytes() for path in sorted(paths)))


def changed(stamp: dict, origins: dict) -> List[str]:
    """The names of the origins that differ from those of a stamp."""
    before = stamp.get('origins', {})
    return [name for name in origins if before.get(name) != origins[name]]
