#!/usr/bin/env python
"""Train and test four small experiments and write a report; see --help.

Each experiment runs through the real tools: test the model as its training
begins, train it, test it again.
"""
import argparse
import functools
import hashlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the package of this checkout

import summary  # noqa: E402  (it finds the tools in tools/analysis)
from report import write_report  # noqa: E402
from steps import (Runner, Screen, Step, StepFailed, clock,  # noqa: E402
                   sole_user)

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.analysis.logs import read_curves  # noqa: E402
from hpvit_mm.analysis.machine import describe, memory_gb  # noqa: E402
from hpvit_mm.errors import UserError  # noqa: E402
from hpvit_mm.utils import replacing, usable_cores  # noqa: E402

SAMPLES = Path('data/samples')
WORK_DIR = Path('work_dirs/quickstart')
COMMAND = 'bash tools/quickstart.sh'


@dataclass(frozen=True)
class Experiment:
    """One task of the quick start.

    Attributes:
        name: Its folder, and its name on the screen.
        task: Description in a few words.
        samples: The name of the sample data.
        metric: Key in the log, name, format.
        floor: The value that it has to reach.
        chance_means: What the chance level is the result of.
        draw: Options of the last test, so that it draws a few images; None:
            it lists its predictions instead.
    """
    name: str
    task: str
    samples: str
    metric: tuple
    floor: float
    chance_means: str
    draw: Optional[Sequence[str]] = ()

    @property
    def config(self) -> str:
        path, = (ROOT / 'configs/quickstart').glob(
            f'hpvit-mini_*_sample-{self.samples}.py')
        return str(path.relative_to(ROOT))


EXPERIMENTS = (
    Experiment(
        name='classification', task='Image classification (mmpretrain)',
        samples='imagenet',
        metric=('accuracy/top1', 'top-1 accuracy', '{:.1f} %'), floor=95.,
        chance_means='always predicting the most frequent digit',
        draw=None),
    Experiment(
        name='instance-segmentation',
        task='Instance segmentation (Mask R-CNN, mmdet)', samples='coco',
        metric=('coco/segm_mAP', 'mask mAP', '{:.3f}'), floor=0.60,
        chance_means='detecting nothing'),
    Experiment(
        name='segmentation-ade20k',
        task='Semantic segmentation (UperNet, mmseg), ADE20K-like',
        samples='ade20k', metric=('mIoU', 'mIoU', '{:.1f} %'), floor=75.,
        chance_means='every pixel of the most frequent class',
        draw=('--cfg-options', 'default_hooks.visualization.interval=13')),
    Experiment(
        name='segmentation-cityscapes',
        task='Semantic segmentation (UperNet, mmseg), Cityscapes-like',
        samples='cityscapes', metric=('mIoU', 'mIoU', '{:.1f} %'), floor=75.,
        chance_means='every pixel of the most frequent class',
        draw=('--cfg-options', 'default_hooks.visualization.interval=15')),
)


# ------------------------------------------------------------------- the steps


def sample_data_step() -> Step:
    """Make the sample data, or check that they are complete."""
    return Step(
        name='sample-data', title='sample data', key='always',
        command=['tools/make_sample_data.py', '--out', str(SAMPLES)])


def experiment_steps(experiment: Experiment, work_dir: Path) -> List[Step]:
    """Test untrained, train, test."""
    folder = work_dir / experiment.name
    config = load_config(experiment.config)
    weights = config['model']['backbone']['init_cfg']['checkpoint']
    loop = config['train_cfg']
    checkpoint = folder / 'train' / (
        f'epoch_{loop["max_epochs"]}.pth' if 'max_epochs' in loop
        else f'iter_{loop["max_iters"]}.pth')
    # Everything that decides the result; a change repeats the steps.
    content = [Path(path).read_bytes() for path in (
        weights, SAMPLES / 'samples.json', SAMPLES / 'provenance.json')
        if Path(path).exists()]
    content.append(json.dumps(config, default=str).replace(
        str(ROOT), '').encode())  # wherever the checkout is
    key = hashlib.sha256(b''.join([code_and_packages(), *content])).hexdigest()

    def step(name, title, tool, *options, **kwargs):
        return Step(
            name=f'{experiment.name}/{name}', key=key,
            title=f'{experiment.name}: {title}', command=[
                f'tools/{tool}.py', experiment.config, *options,
                '--work-dir', str(folder / name)], **kwargs)

    if experiment.draw is None:
        title, output = 'test', folder / 'test/predictions.pkl'
        options = ('--out', str(output))
    else:
        title, output = 'test and draw', folder / 'test/images'
        options = ('--show-dir', str(output), *experiment.draw)
    return [
        step('untrained', 'test untrained', 'test', '--untrained',
             metric=experiment.metric),
        step('train', 'train', 'train', output=checkpoint, resumable=True),
        step('test', title, 'test', str(checkpoint), *options,
             output=output, metric=experiment.metric)]


@functools.cache
def code_and_packages() -> bytes:
    """Digest of the code of the runs, and of the installed versions."""
    files = [path for path in sorted((ROOT / 'hpvit_mm').rglob('*.py'))
             if 'analysis' not in path.parts]
    content = [path.read_bytes() for path in (
        *files, ROOT / 'tools/train.py', ROOT / 'tools/test.py')]
    content.append(json.dumps(environment.versions()).encode())
    return hashlib.sha256(b''.join(content)).digest()


def load_config(path: str) -> dict:
    """The config with its bases, as plain data."""
    from mmengine.config import Config
    return Config.fromfile(ROOT / path).to_dict()


def lanes(work_dir: Path) -> List[List[Step]]:
    """The steps of the experiments.

    Tests of untrained networks run last, on cores that are free by then.
    """
    steps = [experiment_steps(one, work_dir) for one in EXPERIMENTS]
    return [one[1:] for one in steps] + [one[:1] for one in steps]


# -------------------------------------------------------------- the conclusion


def chance_level(samples: str, root: Path) -> float:
    """Metric of a model that knows only how frequent each class is."""
    if samples == 'coco':
        return 0.
    if samples == 'imagenet':
        lines = (root / 'imagenet/meta/val.txt').read_text().splitlines()
        counts = np.bincount([int(line.split()[-1]) for line in lines])
        return 100 * counts.max() / counts.sum()
    # One class everywhere: its IoU is its share of the labelled pixels, that
    # of every other class is 0; classes that do not occur do not count.
    from PIL import Image
    folder, pattern, ignored = dict(
        ade20k=('ade/ADEChallengeData2016/annotations/validation', '*.png', 0),
        cityscapes=('cityscapes/gtFine/val', '*/*_labelTrainIds.png', 255),
    )[samples]
    counts = sum(
        np.bincount(np.asarray(Image.open(path)).ravel(), minlength=256)
        for path in (root / folder).glob(pattern))
    counts[ignored] = 0
    return 100 * counts.max() / counts.sum() / np.count_nonzero(counts)


def conclude(records: dict, work_dir: Path, seconds: float) -> dict:
    """All values of the report, as plain data."""
    samples = json.loads((SAMPLES / 'samples.json').read_text())['sets']
    experiments, steps = [], []
    for one in EXPERIMENTS:
        key, name, form = one.metric
        untrained, train, test = experiment_steps(one, work_dir)
        trained = records[test.name]['metrics'][key]
        entry = samples[one.samples]
        curves = read_curves(work_dir / one.name / 'train')
        experiments.append(dict(
            name=one.name, task=one.task, config=one.config,
            checkpoint=str(train.output), results=str(test.output),
            weights=os.path.relpath(load_config(one.config)['model'][
                'backbone']['init_cfg']['checkpoint'], ROOT),
            train_images=entry['train'], val_images=entry['val'],
            classes=entry['classes'], metric=name, format=form,
            untrained=records[untrained.name]['metrics'][key],
            chance=chance_level(one.samples, SAMPLES),
            chance_means=one.chance_means, trained=trained, floor=one.floor,
            reached=trained >= one.floor,
            seconds=records[train.name]['seconds'],
            report=f'{one.name}/train/report.html',
            curves={name: curve for name, curve in curves.items()
                    if name in ('loss', key)}))
        steps += [untrained, train, test]
    return dict(
        finished=time.strftime('%Y-%m-%d %H:%M'), seconds=seconds,
        experiments=experiments, next=try_next(experiments),
        steps=[dict(title=step.title, command=' '.join(step.command),
                    seconds=records[step.name]['seconds']) for step in steps],
        versions=environment.versions(), machine=describe())


def try_next(experiments: Sequence[dict]) -> List[tuple]:
    """Commands to go on with: pairs of a description and a command."""
    python = os.path.relpath(sys.executable, ROOT)
    python = sys.executable if python.startswith('..') else python
    first, _, third, _ = experiments
    return [
        ('Another pooling: any entry of a config can be set in the command',
         f'{python} tools/train.py {first["config"]} '
         '--work-dir work_dirs/avg-pooling '
         '--cfg-options model.backbone.pooling=avg'),
        ('Draw every validation image',
         f'{python} tools/test.py {third["config"]} {third["checkpoint"]} '
         '--show-dir work_dirs/images'),
        ('ImageNet in data/imagenet, on eight GPUs',
         'bash tools/dist_train.sh '
         'configs/imagenet/hpvit-base-conv-mae_8xb128-100e_in1k.py 8 '
         '--amp --amp-dtype bfloat16')]


def table(experiments: Sequence[dict]) -> str:
    """The metrics, for the screen."""
    rows = [('', 'metric', 'untrained', 'chance', 'trained', 'floor', '')]
    for one in experiments:
        rows.append((one['name'], one['metric'], *(
            one['format'].format(one[level]) for level in
            ('untrained', 'chance', 'trained', 'floor')),
            'ok' if one['reached'] else 'MISSED'))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return '\n'.join(
        '  '.join(cell.ljust(width) if column < 2 else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(row, widths)))
        for row in rows)


# -------------------------------------------------------------------- the tool


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the quick start and return its exit status."""
    parser = argparse.ArgumentParser(
        description='Train and test HPViT on four small tasks, and write a '
        'report. Run it again to continue.')
    parser.add_argument(
        '--work-dir', type=Path, default=ROOT / WORK_DIR, metavar='DIR',
        help=f'the folder for all results (default: {WORK_DIR})')
    args = parser.parse_args(argv)
    # The configs name the sample data relative to the checkout.
    work_dir = Path(os.path.relpath(args.work_dir, ROOT))
    os.chdir(ROOT)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        environment.check_stack()
        with sole_user(work_dir):
            return quickstart(work_dir)
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except StepFailed as error:
        print(f'error: {error}\nFinished steps are kept: {COMMAND} continues '
              'from here.', file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print(f'stopped; {COMMAND} continues from here', file=sys.stderr)
        return 130


def quickstart(work_dir: Path) -> int:
    """Run every step that is not done, and write the report."""
    began, screen = time.monotonic(), Screen()
    cores = usable_cores()
    # A training takes up to 2 GB.
    at_once = max(1, min(len(EXPERIMENTS), cores, int(memory_gb() / 2)))
    threads = max(1, min(8, cores // at_once))
    screen.say(f'Quick start: four experiments, {at_once} at a time on '
               f'{cores} core{"s"[:cores > 1]}; logs in {work_dir}')
    first = sample_data_step()
    (work_dir / f'{first.name}.json').unlink(missing_ok=True)  # runs always
    Runner([[first]], work_dir, screen).run()
    records = Runner(lanes(work_dir), work_dir, screen, at_once, threads).run()
    took = sum(record['seconds'] for record in records.values())
    result = conclude(records, work_dir, took)
    for one in result['experiments']:
        path = work_dir / one['report']
        write_report(path.parent, path)
    with replacing(work_dir / 'report.html') as part:
        part.write_text(summary.page(result), encoding='utf-8')
    (work_dir / 'metrics.json').write_text(json.dumps(result, indent=1))
    screen.say(f'\n{table(result["experiments"])}\n')
    screen.say(f'Finished in {clock(time.monotonic() - began)} minutes.')
    screen.say(f'Report:   {work_dir / "report.html"}')
    screen.say(f'Try next: {result["next"][0][1]}')
    missed = [one for one in result['experiments'] if not one['reached']]
    for one in missed:
        form = one['format'].format
        print(f'error: {one["name"]} reached {one["metric"]} '
              f'{form(one["trained"])}, and this quick start promises at '
              f'least {form(one["floor"])}', file=sys.stderr)
    return 1 if missed else 0


if __name__ == '__main__':
    sys.exit(main())
