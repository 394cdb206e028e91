"""The machine that a run is made on."""
import os
import platform
import re
from pathlib import Path

from hpvit_mm.utils import usable_cores


def describe() -> dict:
    """Processor, usable cores, memory in GiB and GPU, as far as known."""
    return dict(
        processor=_processor(), cores=usable_cores(), memory_gb=memory_gb(),
        gpu=_gpu(), system=platform.platform(terse=True))


def _processor() -> str:
    names = re.findall(r'model name\s*: (.+)', _read('/proc/cpuinfo'))
    return names[0] if names else platform.processor() or platform.machine()


def memory_gb() -> float:
    """Memory in GiB, container limits included."""
    size = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    limit = _read('/sys/fs/cgroup/memory.max').strip()
    if limit.isdigit():
        size = min(size, int(limit))
    return round(size / 2**30, 1)


def _gpu():
    import torch
    if torch.cuda.is_available():
        return torch.cuda.get_device_name(0)
    return None


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ''
