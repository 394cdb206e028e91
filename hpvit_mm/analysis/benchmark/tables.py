"""What was measured, as tables in Markdown; the documents have these lines.

``python -m hpvit_mm.analysis.benchmark.tables FILE.json`` prints them.
"""
import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Iterator, List


def tables(result: dict) -> Iterator[List[str]]:
    """The tables of a suite, line by line.

    Args:
        result: What ``run`` has returned, or a file of it.
    """
    cases = defaultdict(list)
    for row in result['rows']:
        cases[row['case']].append(row)
    lines = []
    for case, rows in cases.items():
        if 'nominal_gmacs' in rows[0]:
            yield network_table(case, rows)
        elif case.endswith('by stage'):
            yield stage_table(case, rows)
        elif case.endswith('by kind'):
            yield [f'| {case} |', '|---|', '| ' + ', '.join(
                f'{kind} {share:.0%}'
                for kind, share in rows[0]['shares'].items()) + ' |']
        elif 'mib' in rows[0]:
            yield [f'| {case} | MiB | |', '|---|--:|--:|'] + [
                f'| {row["variant"]} | {row["mib"]:.1f} | {row["ratio"]:.2f} |'
                for row in rows]
        elif 'worst' in rows[0]:
            lines += plain_lines(case, rows)
    if lines:
        yield ['| | ratio (worst to best round) | ms, of the library and here '
               '|', '|---|--:|--:|', *lines]


def ratio_of(row: dict) -> str:
    """The ratio of medians, and those of the worst and best round."""
    return f'{row["ratio"]:.2f} ({row["worst"]:.2f} to {row["best"]:.2f})'


def network_table(case: str, rows: List[dict]) -> List[str]:
    """Networks beside one another."""
    lines = [f'| {case} | ratio | images/s | GMACs nominal | executed | share '
             'of peak nominal | executed | MiB |',
             '|---|--:|--:|--:|--:|--:|--:|--:|']
    for row in rows:
        name = row['variant']
        if 'worst' not in row:  # the machine's peak
            continue
        if 'milliseconds' not in row:
            lines.append(f'| {name} : {row["base"]} | {ratio_of(row)} '
                         '| | | | | | |')
            continue
        name = f'**{name}**' if name.startswith('ours') else name
        lines.append(
            f'| {name} | {ratio_of(row)} | {row["images_per_second"]:.2f} | '
            f'{row["nominal_gmacs"]:.1f} | {row["executed_gmacs"]:.1f} | '
            f'{row["nominal_share"]:.0%} | {row["executed_share"]:.0%} | '
            f'{row["peak_mib"]:.0f} |')
    return lines


def stage_table(case: str, rows: List[dict]) -> List[str]:
    """The stages of ours."""
    return [f'| {case} | share of the time | GMACs executed | share of peak |',
            '|---|--:|--:|--:|'] + [
        f'| {row["variant"]} | {row["share"]:.0%} | '
        f'{row["executed_gmacs"]:.1f} | {row["executed_share"]:.0%} |'
        for row in rows]


def plain_lines(case: str, rows: List[dict]) -> Iterator[str]:
    """What has no multiply-adds."""
    base = statistics.median(rows[0]['milliseconds'])
    for row in rows[1:]:
        name = case if row['variant'] == 'ours' else \
            f'{case}: {row["variant"]}'
        yield (f'| {name} | {ratio_of(row)} | {base:.1f}, '
               f'{statistics.median(row["milliseconds"]):.1f} |')


if __name__ == '__main__':
    for one in tables(json.loads(Path(sys.argv[1]).read_text())):
        print('\n'.join(one), end='\n\n')
