"""The machine that a run is made on, in a few plain words."""
import os
import platform
import re
from pathlib import Path


def describe() -> dict:
    """Processor, usable cores, memory in GB and GPU, as far as known."""
    return dict(
        processor=_processor(), cores=usable_cores(), memory_gb=_memory(),
        gpu=_gpu(), system=platform.platform(terse=True))


def usable_cores() -> int:
    """The cores this process may use; in a container often not all."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    quota = _read('/sys/fs/cgroup/cpu.max').split()
    if len(quota) == 2 and quota[0].isdigit():
        cores = min(cores, max(1, round(int(quota[0]) / int(quota[1]))))
    return cores


def _processor() -> str:
    names = re.findall(r'model name\s*: (.+)', _read('/proc/cpuinfo'))
    return names[0] if names else platform.processor() or platform.machine()


def _memory():
    try:
        size = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    except (ValueError, OSError):
        return None
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
