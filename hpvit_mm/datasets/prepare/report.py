"""The report of a checked data set, on one screen."""
from pathlib import Path
from typing import Iterable, List, Sequence, Tuple

from hpvit_mm.datasets.rules.layouts import Layout
from hpvit_mm.datasets.rules.problems import AGAIN, Problem, some


class Report:
    """Findings: fine, made, to be looked at, or wrong with a remedy.

    Args:
        layout: The layout of the data set.
        root: Its folder.
        subset: Whether to accept other counts and classes than the original's.
    """
    LIMIT = 15  # problems shown

    def __init__(self, layout: Layout, root: Path, subset: bool) -> None:
        self.layout, self.root, self.subset = layout, root, subset
        self.notes: List[Tuple[str, str]] = []
        self.problems: List[str] = []
        self.incomplete = False  # then the tree is shown
        self.categories: List[str] = []  # of the first annotation file

    def note(self, kind: str, text: str) -> None:
        """Add a line that is 'fine', 'made' or to be looked at ('look')."""
        self.notes.append((kind, text))

    def wrong(self, what: str, remedy: str) -> None:
        """Add a problem."""
        self.problems.append(f'{what}; {remedy}')

    def add(self, problems: Iterable[Problem]) -> bool:
        """Add problems; return whether there are none."""
        before = len(self.problems)
        for problem in problems:
            self.wrong(*problem)
        return len(self.problems) == before

    def some(self, found: Sequence, total: int, things: str, what: str,
             remedy: str) -> None:
        """Add one problem for all things with the same fault, if any."""
        self.add(some(found, total, things, what, remedy))

    def count(self, where: str, found: int, split: str) -> None:
        """Check the number of images of a split."""
        number = self.layout.counts[split]
        if found and (found == number or self.subset):
            self.note('fine', f'{where}: {found:,} images')
        else:
            self.incomplete = True
            self.wrong(f'{where}: {found:,} images, but {self.layout.title} '
                       f'has {number:,}', AGAIN
                       + (', or accept a part by --subset' if found else ''))

    def lines(self) -> List[str]:
        """The report, line by line."""
        out = [f'{self.layout.title} in {self.root}']
        out += [f'  {kind}   {text}' for kind, text in self.notes]
        out += [f'  wrong  {text}' for text in self.problems[:self.LIMIT]]
        rest = len(self.problems) - self.LIMIT
        if rest > 0:
            out.append(f'  and {rest} more')
        if self.incomplete:
            out.append(f'expected there, from {self.layout.origin}:')
            out += [f'  {place}' for place in self.layout.tree]
        return out
