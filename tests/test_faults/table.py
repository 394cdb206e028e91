"""The table of docs/reliability.md, from the lines that tests have noted."""
import json
import sys
from pathlib import Path

HEAD = ('| fault | runs | survived | lost |\n|---|--:|--:|---|\n')


def table(text: str) -> str:
    """Add up lines of the same fault and the same loss."""
    rows = {}
    for line in map(json.loads, text.splitlines()):
        row = rows.setdefault((line['fault'], line['lost']), [0, 0])
        row[0] += line['runs']
        row[1] += line['survived']
    return HEAD + ''.join(
        f'| {fault} | {runs} | {survived} | {lost} |\n'
        for (fault, lost), (runs, survived) in sorted(rows.items()))


if __name__ == '__main__':
    print(table(Path(sys.argv[1]).read_text()), end='')
