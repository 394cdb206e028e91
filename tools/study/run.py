#!/usr/bin/env python
"""Measure what the hierarchy is worth: from weights and data to a report."""
import argparse
import hashlib
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
# The package beside this file, also where it is not installed.
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import run_tool  # noqa: E402
from hpvit_mm.errors import UserError  # noqa: E402
from hpvit_mm.utils import locked, replacing  # noqa: E402

environment.prepare()

from grid import (BUDGETS, MINIATURES, Budget, Network,  # noqa: E402
                  networks)


class Step(NamedTuple):
    """One measurement, which is repeated only if its settings change.

    Attributes:
        name: Unique name.
        settings: All that decides the result.
        run: Called with the step's folder; returns the result.
    """
    name: str
    settings: dict
    run: Callable[[Path], dict]

    def folder(self, work_dir: Path) -> Path:
        """The folder of these settings."""
        text = json.dumps(self.settings, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:8]
        return work_dir / f'{self.name.replace(" ", "-")}-{key}'


def made_of(network: Network) -> dict:
    """The settings that decide the results of a network."""
    return dict(backbone=network.backbone, scale=network.scale)


def steps(budget: Budget, root: Path, weights: Path) -> Iterator[Step]:
    """All measurements of a budget, the most telling ones first."""
    from pretrain import MODELS, pretrain_and_tune
    from probe import PROBES, STRENGTHS, speed
    from tune import tune
    rows = networks(budget)

    def frozen(kind, name):
        probe, data = PROBES[kind], getattr(budget, kind, None)
        return Step(f'{kind} {name}', dict(
            network=made_of(rows[name]), data=data and asdict(data),
            weights=budget.weights, strengths=STRENGTHS, version=1),
            lambda folder: probe(budget, rows[name], root, weights))

    timed = [rows[name] for name in budget.frozen['segmentation']]
    side = budget.segmentation.size
    yield Step('speed', dict(networks=list(map(made_of, timed)), side=side),
               lambda folder: speed(timed, (side * 3 // 4, side)))
    for name in rows:
        for kind, names in budget.frozen.items():
            if name in names:
                yield frozen(kind, name)
    for task, names, settings in budget.tuned:
        for seed in budget.seeds:
            for name in names:
                def run(folder, task=task, name=name, settings=settings,
                        seed=seed):
                    return tune(budget, task, rows[name], settings, seed,
                                root, weights, folder)
                yield Step(f'{task} {name} {seed}', dict(
                    network=made_of(rows[name]), settings=settings, seed=seed,
                    weights=budget.weights, version=1), run)
    names, settings = budget.pretraining
    for seed in budget.seeds:
        for name in names:
            def small(folder, name=name, seed=seed):
                return pretrain_and_tune(budget, name, settings, seed, root,
                                         folder)
            yield Step(f'pretrain {name} {seed}', dict(
                model=MODELS[name], network=made_of(MINIATURES[name]),
                settings=settings, seed=seed, version=1), small)


def collect(budget: Budget, all_steps, work_dir: Path) -> dict:
    """The results of all steps that are done, and the names of the others."""
    done, missing = {}, []
    for step in all_steps:
        path = step.folder(work_dir) / 'result.json'
        if path.exists():
            done[step.name] = json.loads(path.read_text())
        else:
            missing.append(step.name)
    return dict(budget=budget.name, steps=done, missing=missing)


def study(args: argparse.Namespace) -> None:
    """Run what is not done, and write the results."""
    from probe import check_folder
    budget = BUDGETS[args.budget]
    weights = args.data / budget.weights
    if not weights.exists() and (ROOT / budget.weights).exists():
        weights = ROOT / budget.weights
    check_folder(weights, budget.source)
    for data in (budget.classification, budget.segmentation):
        check_folder(args.data / data.folder, data.source)
    if any(task == 'detect' for task, *_ in budget.tuned):
        check_folder(args.data / 'coco', 'cocodataset.org')
    todo = list(steps(budget, args.data, weights))
    args.work_dir.mkdir(parents=True, exist_ok=True)
    with locked(args.work_dir / '.lock', 'another study runs here; waiting'):
        for i, step in enumerate(todo):
            if args.only and not f'{step.name} '.startswith(
                    f'{args.only} '):
                continue
            path = step.folder(args.work_dir) / 'result.json'
            if path.exists():
                continue
            print(f'{time.strftime("%H:%M")} {i + 1}/{len(todo)} {step.name}',
                  flush=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            result = step.run(path.parent)
            with replacing(path) as part:
                part.write_text(json.dumps(result, separators=(',', ':')))
            write(collect(budget, todo, args.work_dir), args.out)
        write(collect(budget, todo, args.work_dir), args.out)


def write(results: dict, out: Path) -> None:
    """Write the results as JSON, one line per step."""
    lines = ',\n'.join(
        f'{json.dumps(name)}:{json.dumps(one, separators=(",", ":"))}'
        for name, one in results['steps'].items())
    rest = {key: results[key] for key in ('budget', 'missing')}
    with replacing(out) as part:
        part.write_text(f'{json.dumps(rest)[:-1]}, "steps": {{\n{lines}\n}}}}'
                        '\n')


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description='Compare plain and hierarchical networks of the same '
        'weights, frozen and fine-tuned. It continues where it was stopped; '
        'tools/study/make_report.py makes the report.')
    parser.add_argument('--budget', choices=list(BUDGETS), required=True)
    parser.add_argument('--data', type=Path, required=True, metavar='ROOT',
                        help='the folder of weights and data sets')
    parser.add_argument('--work-dir', type=Path, metavar='DIR',
                        help='default: work_dirs/study-BUDGET')
    parser.add_argument('--out', type=Path, metavar='FILE.json',
                        help='default: results.json in the work dir')
    parser.add_argument('--only', metavar='NAME',
                        help='run only the steps whose name begins with these '
                        'words, such as "segmentation plain-2x"')
    args = parser.parse_args(argv)
    args.work_dir = args.work_dir or Path('work_dirs', f'study-{args.budget}')
    args.out = args.out or args.work_dir / 'results.json'
    return run_tool(lambda: study(args))


if __name__ == '__main__':
    sys.exit(main())
