#!/usr/bin/env python
"""Make docs/study.md from the results of tools/study/run.py."""
import argparse
import json
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
# The package beside this file, also where it is not installed.
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from grid import (BUDGETS, METRICS, MINIATURES, Budget,  # noqa: E402
                  Question, networks, questions)

DRAWS = 1000
BEGIN, END = '<!-- study:begin -->\n', '<!-- study:end -->'
FROZEN = dict(
    segmentation=('mIoU', ), classification=('k-NN', 'class mean', 'few-shot',
                                             'linear'))

# Task -> row -> metric -> values: (runs, images, classes, 2) for mIoU,
# (runs, images) for accuracies, (runs, ) for AP.
Values = Dict[str, Dict[str, Dict[str, np.ndarray]]]


def values_of(results: dict) -> Values:
    """Join the steps: the seeds of a fine-tuning are its runs."""
    found: Values = {}
    for name, step in results['steps'].items():
        words = name.split(' ')
        if words[0] in ('features', 'speed'):
            continue
        tuned = words[0] in METRICS
        task = ' '.join(words[:-2]) if tuned else words[0]
        for row, metrics in step['rows'].items():
            rows = found.setdefault(task, {}).setdefault(row, {})
            for metric, one in metrics.items():
                one = np.atleast_1d(np.asarray(one, dtype=float))
                if metric in rows:
                    one = np.concatenate([rows[metric], one])
                rows[metric] = one
    return found


def score(metric: str, values: np.ndarray,
          weights: Optional[np.ndarray] = None) -> np.ndarray:
    """The metric in percent of each run.

    Args:
        metric: Its name.
        values: As in :data:`Values`.
        weights: How often each image counts, (images, ). Defaults to once.
    """
    if values.ndim == 1:
        return 100 * values
    if weights is None:
        weights = np.ones(values.shape[1])
    total = np.einsum('ru...,u->r...', values, weights)
    if metric != 'mIoU':
        return 100 * total / weights.sum()
    both, either = total[..., 0], total[..., 1]
    there = either > 0
    iou = np.where(there, both / np.maximum(either, 1), 0)
    return 100 * iou.sum(1) / there.sum(1)


def compare(metric: str, a: np.ndarray, b: np.ndarray
            ) -> Tuple[float, float, float]:
    """The difference of a and b, and its interval of 95 %.

    The bootstrap draws runs and images, the same ones for a and b. Of a
    metric without images there are only the runs: Student's t.
    """
    runs = min(len(a), len(b))
    a, b = a[:runs], b[:runs]
    difference = float((score(metric, a) - score(metric, b)).mean())
    if a.ndim == 1:
        spread = (a - b).std(ddof=1) * 100 if runs > 1 else np.inf
        half = spread / np.sqrt(runs) * {2: 12.706, 3: 4.303}.get(runs, 2.776)
        return difference, difference - half, difference + half
    rng = np.random.default_rng(0)
    images, drawn = a.shape[1], []
    for _ in range(DRAWS):
        weights = np.bincount(rng.integers(images, size=images),
                              minlength=images)
        chosen = rng.integers(runs, size=runs)
        drawn.append((score(metric, a, weights) - score(metric, b, weights)
                      )[chosen].mean())
    low, high = np.percentile(drawn, (2.5, 97.5))
    return difference, float(low), float(high)


def answer(question: Question, values: Values) -> List[str]:
    """Cells of the table: claim, difference, interval, verdict."""
    rows = values.get(question.task, {})
    try:
        a, b = (rows[row][question.metric] for row in (question.a,
                                                       question.b))
    except KeyError:
        return [question.text, f'{question.a} - {question.b}', '', '',
                'not measured yet']
    difference, low, high = compare(question.metric, a, b)
    verdict = ('**supported**' if low > 0 else '**no, the opposite**'
               if high < 0 else 'cannot be told')
    if min(len(a), len(b)) < 2 and question.task not in (
            'segmentation', 'classification'):  # of frozen features
        verdict = 'one training each, cannot be told'
    return [question.text, f'{question.a} - {question.b}',
            f'{difference:+.1f}', f'{low:+.1f} to {high:+.1f}', verdict]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join(f'| {" | ".join(one)} |' for one in lines) + '\n'


def cost_of(results: dict, task: str, name: str) -> Tuple[float, float]:
    """GMACs and seconds of a network in a task.

    The seconds are those of training, or of a forward pass on an image of
    the frozen segmentation; NaN where none were recorded.
    """
    speed = results['steps'].get('speed', {}).get('speed', {})
    steps = [one for step, one in results['steps'].items()
             if step == f'{task} {name}' or step.startswith(f'{task} {name} ')]
    if task not in FROZEN:
        seconds = min((one['seconds'] for one in steps if 'seconds' in one),
                      default=np.nan)
    else:
        seconds = speed.get(name, np.nan) if task == 'segmentation' else np.nan
    return steps[0]['gmacs'], float(seconds)


def tasks_of(budget: Budget) -> List[str]:
    """The tasks, in the order of the page."""
    return [*FROZEN, *(one for one, *_ in budget.tuned), 'pretrain']


def text_of(results: dict, budget: Budget) -> str:
    """The generated part of the page."""
    values = values_of(results)
    parts = []
    if results['missing']:
        parts.append(
            f'**Not complete: {len(results["missing"])} of '
            f'{len(results["missing"]) + len(results["steps"])} measurements '
            'are missing** (`tools/study/run.py` continues them): '
            + shorten(results['missing']) + '.\n')
    for task in tasks_of(budget):
        rows = values.get(task, {})
        titles = MINIATURES if task == 'pretrain' else networks(budget)
        parts.append(f'## {heading(task, budget)}\n')
        if not rows:
            parts.append('Not measured yet.\n')
            continue
        metrics = FROZEN.get(task) or tuple(next(iter(rows.values())))
        seconds = 'seconds an image' if task in FROZEN else \
            'seconds of training'
        lines = []
        for row, one in rows.items():
            name = row.split(' ')[0]
            gmacs, time = cost_of(results, task, name)
            cells = []
            for metric in metrics:
                runs = score(metric, one[metric])
                spread = f' ± {runs.std(ddof=1):.1f}' if len(runs) > 1 else ''
                cells.append(f'{runs.mean():.1f}{spread}')
            lines.append([row, titles[name].title, f'{gmacs:.1f}',
                          '' if np.isnan(time) else f'{time:.3g}', *cells])
        parts.append(table(
            ['row', 'network', 'GMACs', seconds, *metrics], lines))
        asked = [one for one in questions(budget) if one.task == task]
        by_metric = dict.fromkeys(one.metric for one in asked)
        for metric in by_metric:
            parts.append(f'{metric}:\n\n' + table(
                ['claim', 'rows', 'difference', '95 %', 'verdict'],
                [answer(one, values) for one in asked
                 if one.metric == metric]))
    return '\n'.join(parts)


def losses_of(results: dict, task: str) -> Dict[str, Dict[int, float]]:
    """Network -> iteration -> mean of the losses of its runs."""
    found: Dict[str, Dict[int, List[float]]] = {}
    for step, one in results['steps'].items():
        if step.startswith(f'{task} ') and 'losses' in one:
            lines = found.setdefault(next(iter(one['rows'])), {})
            for iteration, loss in one['losses'].items():
                lines.setdefault(int(iteration), []).append(loss)
    return {name: {iteration: float(np.mean(losses))
                   for iteration, losses in lines.items()}
            for name, lines in found.items()}


def shorten(names: Sequence[str]) -> str:
    """Names of missing steps, by their tasks."""
    tasks: Dict[str, int] = {}
    for name in names:
        task = name.split(' ')[0]
        tasks[task] = tasks.get(task, 0) + 1
    return ', '.join(f'{number} of {task}' for task, number in tasks.items())


def heading(task: str, budget: Budget) -> str:
    """Title of the section of a task."""
    if task == 'segmentation':
        data = budget.segmentation
        return (f'Frozen: linear segmentation, {data.num_train} training and '
                f'{data.num_test} test images, {data.size} pixels')
    if task == 'classification':
        data = budget.classification
        return (f'Frozen: classification, {data.num_train} training and '
                f'{data.num_test} test images a class, {data.size} pixels')
    if task == 'pretrain':
        settings = budget.pretraining[1]
        return (f'Pre-trained in miniature: {settings["iterations"]} '
                f'iterations of {settings["batch"]} images')
    settings = next(one for name, _, one in budget.tuned if name == task)
    return (f'Fine-tuned: {task}, {settings["iterations"]} iterations of '
            f'{settings["batch"]} images')


def draw(results: dict, budget: Budget, folder: Path) -> List[str]:
    """Draw the figures; return their names."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    matplotlib.rcParams.update({'svg.hashsalt': 'study', 'font.size': 8})
    folder.mkdir(parents=True, exist_ok=True)
    values, names = values_of(results), []

    def save(figure, name):
        figure.savefig(folder / name, bbox_inches='tight', dpi=110,
                       metadata=None)
        plt.close(figure)
        names.append(name)

    for task in tasks_of(budget):
        rows = values.get(task, {})
        metric = dict(segmentation='mIoU', classification='linear').get(
            task) or METRICS[task.split(' ')[0]]
        losses = losses_of(results, task)
        costs = {row: cost_of(results, task, row.split(' ')[0])
                 for row in rows}
        titles = ['GMACs an image']
        if task != 'classification':  # whose networks are not timed
            titles.append('seconds an image, one thread' if task in FROZEN
                          else 'seconds of training')
        if not rows:
            continue
        figure, axes = plt.subplots(
            1, len(titles) + bool(losses), squeeze=False,
            figsize=(3.2 * (len(titles) + bool(losses)), 3.2))
        colours = {name: f'C{i % 10}' for i, name in enumerate(dict.fromkeys(
            row.split(' ')[0] for row in rows))}
        for axis, title, i in zip(axes[0], titles, (0, 1)):
            for row, one in rows.items():
                name, last = row.split(' ')[0], row.endswith(' last')
                axis.scatter(
                    costs[row][i], score(metric, one[metric]).mean(), s=22,
                    marker='os^'[list(colours).index(name) // 10],
                    color=colours[name], label=None if last else name,
                    facecolors='none' if last else colours[name])
            axis.set(xlabel=title, ylabel=f'{metric}, %')
        for name, line in losses.items():
            axes[0, -1].plot(list(line), list(line.values()), label=name,
                             color=colours[name], linewidth=1)
        if losses:
            axes[0, -1].set(xlabel='iterations', ylabel='loss of training')
        axes[0, -1].legend(fontsize=6, loc='center left',
                           bbox_to_anchor=(1, .5))
        figure.tight_layout()
        save(figure, f'{task.replace(" ", "-")}.png')
    features = {name.split(' ')[1]: one
                for name, one in results['steps'].items()
                if name.startswith('features')}
    if features:
        figure, axis = plt.subplots(figsize=(4.5, 3))
        for name, one in features.items():
            similar = one['rows'][name]['similarity']
            axis.plot([int(n) for n in similar], list(similar.values()),
                      marker='.', label=name)
        axis.set(xlabel='shift of the image, pixels',
                 ylabel='similarity of the features')
        axis.legend()
        save(figure, 'shifts.png')
        deepest = max(len(one['maps']) for one in features.values())
        figure, axes = plt.subplots(
            len(features), deepest, squeeze=False,
            figsize=(1.6 * deepest, 1.7 * len(features)))
        for line, (name, one) in zip(axes, features.items()):
            for axis in line:
                axis.axis('off')
            for axis, colours in zip(line, one['maps']):
                axis.imshow(np.asarray(colours, dtype=np.uint8))
                axis.set_title(f'{name}, {len(colours)} x {len(colours[0])}',
                               fontsize=6)
        save(figure, 'maps.png')
    return names


def main(argv=None) -> int:
    """Write the page and the figures."""
    parser = argparse.ArgumentParser(
        description='Make the report of a study from its results.')
    parser.add_argument('results', type=Path, nargs='?',
                        default=ROOT / 'tools/study/results/cpu.json')
    parser.add_argument('--page', type=Path, default=ROOT / 'docs/study.md',
                        help='the page, whose part between two marks is '
                        'replaced (default: docs/study.md)')
    args = parser.parse_args(argv)
    results = json.loads(args.results.read_text())
    budget = BUDGETS[results['budget']]
    page = args.page.read_text() if args.page.exists() else BEGIN + END
    head, _, rest = page.partition(BEGIN)
    figures = draw(results, budget, args.page.parent / 'study')
    text = text_of(results, budget) + ''.join(
        f'\n![{name}](study/{name})\n' for name in figures)
    args.page.write_text(f'{head}{BEGIN}\n{text}\n{END}'
                         f'{rest.partition(END)[2]}')
    print(f'wrote {args.page}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
