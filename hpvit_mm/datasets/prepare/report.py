"""What was found in a data set, on one screen."""
from pathlib import Path
from typing import List, Sequence, Tuple

from .layouts import Layout

AGAIN = 'unpack it again'


class Report:
    """What is fine, what was made, what is wrong and how to mend it.

    Args:
        layout: The layout of the data set.
        root: Its folder.
        subset: Whether counts and classes may be others than the original's.
    """
    LIMIT = 15  # problems shown

    def __init__(self, layout: Layout, root: Path, subset: bool):
        self.layout, self.root, self.subset = layout, root, subset
        self.notes: List[Tuple[str, str]] = []
        self.problems: List[str] = []
        self.incomplete = False  # then the tree is shown

    def fine(self, text: str) -> None:
        self.notes.append(('fine', text))

    def made(self, text: str) -> None:
        self.notes.append(('made', text))

    def wrong(self, what: str, remedy: str) -> None:
        self.problems.append(f'{what}; {remedy}')

    def some(self, found: Sequence, total: int, files: str, what: str,
             remedy: str) -> None:
        """One line for all files with the same fault; none, no line.

        Args:
            found: Their names, or pairs of a name and a detail.
            total: How many were looked at.
            files: What they are, and where.
            what: The fault.
            remedy: How to mend it.
        """
        if found:
            first = found[0]
            if not isinstance(first, str):
                name, detail = first
                first = f'{name} ({detail})' if detail else name
            self.wrong(f'{len(found):,} of {total:,} {files} {what}, '
                       f'first {first}', remedy)

    def count(self, where: str, found: int, split: str) -> None:
        """The number of images of a split must be the original's."""
        number = self.layout.counts[split]
        if found and (found == number or self.subset):
            self.fine(f'{where}: {found:,} images')
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
