"""How far a run is and how long it will take: reading, estimating, showing."""
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Dict, Optional


class LogReader:
    """Follows the log that an mmengine runner writes."""

    LINE = re.compile(r'(?:Epoch|Iter)\((train|val|test)\) ')
    ETA = re.compile(r' eta: (?:(\d+) days?, )?(\d+):(\d+):(\d+) ')
    LOSS = re.compile(r' loss: ([\d.]+|nan|inf)')

    def __init__(self, path: Path, metric: Optional[str] = None):
        self.path = Path(path)
        self.position = 0
        if self.path.exists():
            self.position = self.path.stat().st_size
        self.metric = metric and re.compile(
            rf' {re.escape(metric)}: (-?[\d.]+)')
        self.eta = self.loss = self.value = None
        self.eta_at = 0.

    def update(self) -> None:
        """Read the lines that are new."""
        with open(self.path, 'rb') as file:
            file.seek(self.position)
            *lines, _ = file.read().split(b'\n')
        self.position += sum(len(line) + 1 for line in lines)
        for line in lines:
            self._read(line.decode(errors='replace') + ' ')

    def seconds_left(self) -> Optional[float]:
        """What the runner said last, less the time since."""
        if self.eta is None:
            return None
        return max(0., self.eta - (time.monotonic() - self.eta_at))

    def _read(self, line: str) -> None:
        kind = self.LINE.search(line)
        if not kind:
            return
        eta, loss = self.ETA.search(line), self.LOSS.search(line)
        value = self.metric and self.metric.search(line)
        if eta and kind[1] != 'val':  # that of the training goes on
            days, hours, minutes, seconds = (int(x or 0)
                                             for x in eta.groups())
            self.eta = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
            self.eta_at = time.monotonic()
        if loss and kind[1] == 'train':
            self.loss = float(loss[1])
        if value:
            self.value = float(value[1])


class TimeLeft:
    """Estimates how long a list of steps still takes.

    A table tells what the steps take on a typical machine. What the finished
    ones have really taken scales the rest of the table; a step that tells
    itself how long it needs is believed more the longer it runs.

    Args:
        typical: Step -> seconds on a typical machine.
    """
    # The table counts as much as this many seconds of observation.
    TRUST = 30

    def __init__(self, typical: Dict[str, float]):
        self.typical = dict(typical)
        self.taken = {}

    def finish(self, name: str, seconds: float) -> None:
        """Learn what a step has taken."""
        self.taken[name] = seconds

    def left(self, name: str = None, elapsed: float = 0,
             told: Optional[float] = None) -> float:
        """Seconds left in all.

        Args:
            name: The running step, if any.
            elapsed: The seconds it has run.
            told: The seconds that it says it still needs, if it does.
        """
        waiting = sum(seconds for step, seconds in self.typical.items()
                      if step not in self.taken and step != name)
        slowness = self._slowness(self.taken)
        if name is None or name in self.taken:
            return slowness * waiting
        whole = slowness * self.typical[name]
        rest = max(whole - elapsed, 0.05 * whole)
        if told is not None:
            belief = min(1., elapsed / (0.25 * whole + 1))
            rest = belief * told + (1 - belief) * rest
        slowness = self._slowness({**self.taken, name: elapsed + rest})
        return rest + slowness * waiting

    def _slowness(self, taken: Dict[str, float]) -> float:
        typical = sum(self.typical[step] for step in taken)
        return (sum(taken.values()) + self.TRUST) / (typical + self.TRUST)


class Screen:
    """One line per step: in place on a terminal, else every 20 seconds.

    Args:
        total: The number of steps.
        out: The stream to write to.
    """
    INTERVAL = 20

    def __init__(self, total: int, out=None):
        self.total = total
        self.out = out or sys.stdout
        self.tty = self.out.isatty()
        self.head, self.last = '', 0.

    def begin(self, number: int, title: str) -> None:
        """Announce a step."""
        self.head = f'[{number:2d}/{self.total}] {title}'
        self.last = time.monotonic()
        if self.tty:
            self._draw(self.head)
        else:
            self.say(f'{self.head} ...')

    def progress(self, elapsed: float, left: float, note: str = '') -> None:
        """Say where the step is; ``left`` is for all steps together."""
        # what matters most comes first: a narrow terminal cuts the end
        text = f'{clock(elapsed)}, {about(left)} left in all'
        if note:
            text += f', {note}'
        if self.tty:
            self._draw(f'{self.head}  {text}')
        elif time.monotonic() >= self.last + self.INTERVAL:
            self.last = time.monotonic()
            self.say(f'        {text}')

    def end(self, text: str) -> None:
        """Replace a step's line by its result."""
        self.say(f'{self.head}  {text}' if self.tty else f'        {text}')

    def say(self, text: str) -> None:
        """Print a line that stays."""
        print(('\r\033[K' if self.tty else '') + text, file=self.out,
              flush=True)

    def _draw(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        print('\r\033[K' + text[:width], end='', file=self.out, flush=True)


def clock(seconds: float) -> str:
    """Seconds as m:ss, or h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f'{hours}:{minutes:02d}:{seconds:02d}'
    return f'{minutes}:{seconds:02d}'


def about(seconds: float) -> str:
    """Seconds as a person would say them."""
    if seconds < 55:
        return f'{max(10, 10 * round(seconds / 10))} s'
    return f'{max(1, round(seconds / 60))} min'
