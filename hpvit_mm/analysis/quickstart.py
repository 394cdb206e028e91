"""The quick start: what it runs, and what it concludes.

Four small experiments, one per task, each through the real tools: test the
untrained model, train, test the trained one. Then a report.
"""
import argparse
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from hpvit_mm import environment
from hpvit_mm.errors import UserError

from . import chance
from .curves import read_curves
from .machine import describe
from .progress import Screen, about, clock
from .report import write_report
from .stamps import digest, digest_files, write_json
from .steps import Runner, Step, StepFailed, sole_user

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = Path('data/samples')
CONFIGS = Path('configs/quickstart')
WORK_DIR = Path('work_dirs/quickstart')
COMMAND = 'bash tools/quickstart.sh'


@dataclass(frozen=True)
class Experiment:
    """One task of the quick start.

    Attributes:
        name: Its folder, and its name on the screen.
        task: What is learnt, in a few words.
        samples: The name of the sample data.
        metric: (key of the host, words, format).
        floor: What it has to reach.
        chance: Gives the chance level for the folder of all samples.
        chance_means: What that level is the result of.
        typical: Seconds on two cores: untrained test, training, test.
        pictures: Options of tools/test.py that set how many pictures the
            host draws, None to show single pictures with a caption.
    """
    name: str
    task: str
    samples: str
    metric: tuple
    floor: float
    chance: Callable[[Path], float]
    chance_means: str
    typical: tuple
    pictures: Optional[Sequence[str]] = None

    @property
    def config(self) -> str:
        """Its config file, whatever schedule the name of the file tells."""
        path, = (ROOT / CONFIGS).glob(f'hpvit-mini_*_sample-{self.samples}.py')
        return str(path.relative_to(ROOT))


EXPERIMENTS = (
    Experiment(
        name='classification',
        task='Image classification (mmpretrain)',
        samples='imagenet',
        metric=('accuracy/top1', 'top-1 accuracy', '{:.1f} %'),
        floor=95.,
        chance=lambda samples: chance.most_frequent_share(
            chance.read_labels(samples / 'imagenet/meta/val.txt')),
        chance_means='always naming the most frequent digit',
        typical=(9, 100, 6)),
    Experiment(
        name='instance-segmentation',
        task='Instance segmentation (Mask R-CNN, mmdet)',
        samples='coco',
        metric=('coco/segm_mAP', 'mask mAP', '{:.3f}'),
        floor=0.60,
        chance=lambda samples: 0.,
        chance_means='reporting no object at all',
        typical=(19, 225, 14),
        pictures=()),
    Experiment(
        name='segmentation-ade20k',
        task='Semantic segmentation (UperNet, mmseg), ADE20K-like',
        samples='ade20k',
        metric=('mIoU', 'mIoU', '{:.1f} %'),
        floor=75.,
        chance=lambda samples: chance.most_frequent_miou(
            chance.read_label_maps(
                (samples / 'ade/ADEChallengeData2016/annotations/validation'
                 ).glob('*.png'), zero_is_ignored=True)),
        chance_means='giving every pixel the most frequent class',
        typical=(7, 55, 8),
        pictures=('default_hooks.visualization.interval=13', )),
    Experiment(
        name='segmentation-cityscapes',
        task='Semantic segmentation (UperNet, mmseg), Cityscapes-like',
        samples='cityscapes',
        metric=('mIoU', 'mIoU', '{:.1f} %'),
        floor=75.,
        chance=lambda samples: chance.most_frequent_miou(
            chance.read_label_maps(
                (samples / 'cityscapes/gtFine/val').glob(
                    '*/*_labelTrainIds.png'))),
        chance_means='giving every pixel the most frequent class',
        typical=(7, 80, 8),
        pictures=('default_hooks.visualization.interval=15', )),
)


# ------------------------------------------------------------------ the plan


def plan(work_dir: Path) -> List[Step]:
    """The steps of the quick start, in their order."""
    packages = environment.versions()
    packages.pop('pytest')
    shared = dict(code=code_digest(), packages=digest(json.dumps(packages)))
    steps = [Step(
        name='sample-data',
        title='sample data: real digits over real photographs',
        command=['tools/make_sample_data.py', '--out', str(SAMPLES)],
        typical=21,
        outputs=(SAMPLES / 'samples.json', SAMPLES / 'provenance.json'),
        always=True)]
    for experiment in EXPERIMENTS:
        steps += plan_experiment(experiment, work_dir, shared)
    return steps


def plan_experiment(experiment: Experiment, work_dir: Path,
                    shared: Dict[str, str]) -> List[Step]:
    """Test, train and test again."""
    folder = work_dir / experiment.name
    config = load_config(experiment.config)
    # wherever the checkout is
    text = json.dumps(config, default=str).replace(str(ROOT), '')
    origins = dict(config=digest(text), **shared)
    if Path(weights := starting_weights(config) or '').is_file():
        origins['weights'] = digest_files([weights])
    checkpoint = folder / 'train' / last_checkpoint(config)

    def step(name, title, command, typical, needs=(), **kwargs):
        return Step(
            name=f'{experiment.name}/{name}',
            title=f'{experiment.name}: {title}',
            command=[command[0], experiment.config, *command[1:],
                     '--work-dir', str(folder / name)],
            typical=typical, origins=origins,
            needs=('sample-data', *(f'{experiment.name}/{need}'
                                    for need in needs)),
            metric=experiment.metric, **kwargs)

    def test(name, title, what, typical, extra=(), needs=()):
        metrics = folder / name / 'metrics.json'
        return step(
            name, title,
            ['tools/test.py', what, '--out', str(metrics), *extra],
            typical, needs, outputs=(metrics, ), metrics=metrics)

    before, training, after = experiment.typical
    steps = [
        test('untrained', 'test untrained', '--untrained', before),
        step('train', 'train', ['tools/train.py'], training,
             outputs=(checkpoint, ), resumable=True),
    ]
    if experiment.pictures is None:
        predictions = folder / 'predictions' / 'predictions.pkl'
        return steps + [
            test('test', 'test', str(checkpoint), after,
                 needs=('train', )),
            step('predictions', 'list predictions',
                 ['tools/test.py', str(checkpoint), '--out',
                  str(predictions)], after, needs=('train', ),
                 outputs=(predictions, ))]
    extra = ['--show-dir', str(folder / 'test' / 'pictures')]
    if experiment.pictures:
        extra += ['--cfg-options', *experiment.pictures]
    return steps + [
        test('test', 'test and draw', str(checkpoint),
             after, extra, needs=('train', ))]


def load_config(path: str) -> dict:
    """The whole config, bases included, as plain data.

    Ours are in Python, so that mmengine alone will do, which loads faster.
    """
    from mmengine.config import Config
    return Config.fromfile(ROOT / path).to_dict()


def starting_weights(config: dict) -> Optional[str]:
    """The checkpoint that the backbone begins with, if any."""
    init = config['model']['backbone'].get('init_cfg') or []
    for one in [init] if isinstance(init, dict) else init:
        if one['type'] == 'Pretrained':
            return one['checkpoint'].replace(f'{ROOT}{os.sep}', '')
    return None


def last_checkpoint(config: dict) -> str:
    """The name of the checkpoint with which the training ends."""
    loop = config['train_cfg']
    if 'max_epochs' in loop:
        return f'epoch_{loop["max_epochs"]}.pth'
    return f'iter_{loop["max_iters"]}.pth'


def code_digest() -> str:
    """A fingerprint of the code that decides what is learnt."""
    package = ROOT / 'hpvit_mm'
    unrelated = ('analysis', 'datasets')  # the data are compared themselves
    files = [path for path in package.rglob('*.py')
             if path.relative_to(package).parts[0] not in unrelated]
    return digest_files([*files, ROOT / 'tools/train.py',
                         ROOT / 'tools/test.py'])


# ------------------------------------------------------------- the conclusion


def conclude(steps: Sequence[Step], stamps: Dict[str, dict],
             work_dir: Path) -> dict:
    """All that the report says, as plain data."""
    samples = json.loads((SAMPLES / 'samples.json').read_text())['sets']
    experiments = [
        conclude_experiment(experiment, stamps, work_dir,
                            samples[experiment.samples])
        for experiment in EXPERIMENTS]
    return dict(
        finished=time.strftime('%Y-%m-%d %H:%M'),
        seconds=sum(stamp['seconds'] for stamp in stamps.values()),
        experiments=experiments, next=try_next(experiments),
        steps=[dict(title=step.title, seconds=stamps[step.name]['seconds'],
                    command=' '.join(['python', *step.command]))
               for step in steps],
        versions=environment.versions(),
        machine=describe())


def conclude_experiment(experiment: Experiment, stamps: Dict[str, dict],
                        work_dir: Path, samples: dict) -> dict:
    """What one experiment has shown."""
    key, words, form = experiment.metric
    config = load_config(experiment.config)
    folder = work_dir / experiment.name

    def measured(step):
        return stamps[f'{experiment.name}/{step}']['metrics'][key]

    trained = measured('test')
    return dict(
        name=experiment.name, task=experiment.task,
        config=experiment.config,
        checkpoint=str(folder / 'train' / last_checkpoint(config)),
        starts_from=starting_weights(config),
        train_pictures=samples['train'], val_pictures=samples['val'],
        classes=samples['classes'],
        metric=words, format=form,
        untrained=measured('untrained'),
        chance=experiment.chance(SAMPLES),
        chance_means=experiment.chance_means,
        trained=trained, floor=experiment.floor,
        reached=trained >= experiment.floor,
        seconds=stamps[f'{experiment.name}/train']['seconds'],
        curves=read_curves(folder / 'train', key),
        pictures=str(folder / 'test' / 'pictures'),
        predictions=str(folder / 'predictions' / 'predictions.pkl')
        if experiment.pictures is None else None)


def table(experiments: Sequence[dict]) -> str:
    """The metrics, for the screen."""
    rows = [('', 'metric', 'untrained', 'chance', 'trained', 'floor', '')]
    for one in experiments:
        levels = (one['format'].format(one[level]) for level in
                  ('untrained', 'chance', 'trained', 'floor'))
        rows.append((one['name'], one['metric'], *levels,
                     'ok' if one['reached'] else 'MISSED'))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return '\n'.join(
        '  '.join(cell.ljust(width) if number < 2 else cell.rjust(width)
                  for number, (cell, width) in enumerate(zip(row, widths)))
        for row in rows)


# -------------------------------------------------------------------- the tool


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the quick start and return its exit status."""
    parser = argparse.ArgumentParser(
        prog='tools/quickstart.py', description='Train and test HPViT on '
        'four small tasks, and write a report. Run it again to continue.')
    parser.add_argument(
        '--work-dir', type=Path, default=ROOT / WORK_DIR, metavar='DIR',
        help=f'where everything goes (default: {WORK_DIR})')
    args = parser.parse_args(argv)
    # The configs name the sample data relative to the checkout.
    work_dir = Path(os.path.relpath(args.work_dir, ROOT))
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with sole_user(work_dir):
            return quickstart(work_dir)
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except StepFailed as error:
        print(f'\nerror: {error}\nWhat is finished stays finished: once this '
              f'is mended, {COMMAND} continues from here.', file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print(f'\nstopped; {COMMAND} continues from here', file=sys.stderr)
        return 130


def quickstart(work_dir: Path) -> int:
    """Do every step that is not finished, and write the report."""
    environment.check_stack()
    began = time.monotonic()
    steps = plan(work_dir)
    screen = Screen(len(steps) + 1)
    runner = Runner(steps, work_dir, screen)
    left = runner.time_left.left()
    screen.say(f'Quick start: four experiments in {len(steps) + 1} steps, '
               + (f'about {about(left)}' if left > 5 else 'all done before')
               + f'; logs in {work_dir}')
    stamps = runner.run()
    screen.begin(len(steps) + 1, 'report')
    result = conclude(steps, stamps, work_dir)
    write_json(work_dir / 'metrics.json', result)
    report = write_report(result, work_dir / 'report.html')
    screen.end(clock(time.monotonic() - began) + ' in all')
    screen.say('\n' + table(result['experiments']) + '\n')
    screen.say(f'Report     {report}')
    screen.say(f'Try next   {result["next"][0][1]}')
    missed = [one for one in result['experiments'] if not one['reached']]
    for one in missed:
        form = one['format'].format
        print(f'error: {one["name"]} reached {form(one["trained"])} '
              f'{one["metric"]}, less than the {form(one["floor"])} that '
              'this quick start promises', file=sys.stderr)
    return 1 if missed else 0


def try_next(experiments: Sequence[dict]) -> List[tuple]:
    """What to go on with: pairs of words and a command."""
    python = os.path.relpath(sys.executable, ROOT)
    if python.startswith('..'):
        python = sys.executable
    one = experiments[0]
    return [
        ('Another pooling: change any entry of a config from the outside',
         f'{python} tools/train.py {one["config"]} '
         '--work-dir work_dirs/avg-pooling '
         '--cfg-options model.backbone.pooling=avg'),
        ('Draw every validation picture',
         f'{python} tools/test.py {experiments[2]["config"]} '
         f'{experiments[2]["checkpoint"]} --show-dir work_dirs/pictures'),
        ('The real thing: ImageNet in data/imagenet, eight GPUs',
         'bash tools/dist_train.sh '
         'configs/imagenet/hpvit-base-conv-mae_8xb128-100e_in1k.py 8 '
         '--amp --amp-dtype bfloat16')]
