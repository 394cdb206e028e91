"""The quick start: steps, results and report. The commands are fakes."""
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpvit_mm.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools/quickstart'))
import quickstart  # noqa: E402
import summary  # noqa: E402
from steps import (Runner, Screen, Step, StepFailed, sole_user,  # noqa: E402
                   training_state)

# ------------------------------------------------------------------------ steps

# Notes its arguments in 'ran', and writes its output.
WORK = """
import sys, os
out = sys.argv[1]
os.makedirs(os.path.dirname(out), exist_ok=True)
open('ran', 'a').write(' '.join(sys.argv[1:]) + '\\n')
open(out, 'w').close()
print('working')
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fake(name, code=WORK, **kwargs):
    out = Path('work', name, 'out')
    options = dict(name=name, title=f'do {name}', key='1',
                   command=['-c', code, str(out)], output=out)
    return Step(**{**options, **kwargs})


def run(*lanes, **kwargs):
    lanes = [lane if isinstance(lane, tuple) else (lane, ) for lane in lanes]
    return Runner(lanes, Path('work'), Screen(), **kwargs).run()


def runs():
    path = Path('ran')
    return path.read_text().splitlines() if path.exists() else []


def interrupt(name):
    """Make it look as if a step had been killed while it ran."""
    path = Path('work', name + '.json')
    record = json.loads(path.read_text())
    path.write_text(json.dumps(dict(record, status='running', seconds=5.)))


def test_finished_steps_are_not_repeated(folder, capsys):
    lane = fake('a'), fake('b')
    first = run(lane)
    assert run(lane) == first and len(runs()) == 2
    assert capsys.readouterr().out.count('done before') == 2
    assert Path('work/a.log').read_text() == 'working\n'


def test_lanes_run_side_by_side(folder):
    """Each waits until the other has started."""
    code = ('import os, sys, time\nopen(sys.argv[2], "w").close()\n'
            'while not os.path.exists(sys.argv[3]): time.sleep(0.05)\n' + WORK)

    def waiting(name, other):
        step = fake(name, code)
        return replace(step, command=[*step.command, name, other])

    run(waiting('a', 'b'), waiting('b', 'a'), at_once=2)
    assert len(runs()) == 2


def test_an_interrupted_training_resumes(folder):
    step = fake('train', resumable=True)
    run(step)
    Path('work/train/checkpoint').touch()
    interrupt('train')
    records = run(step)
    assert runs()[1].endswith('--resume')
    assert records['train']['seconds'] >= 5  # both parts
    assert Path('work/train/checkpoint').exists()
    # with another config it begins again
    run(replace(step, key='2'))
    assert '--resume' not in runs()[2]
    assert not Path('work/train/checkpoint').exists()


def test_other_interrupted_steps_begin_again(folder):
    run(fake('test'))
    Path('work/test/half').touch()
    interrupt('test')
    run(fake('test'))
    assert len(runs()) == 2 and '--resume' not in runs()[1]
    assert not Path('work/test/half').exists()


def test_a_redone_step_redoes_the_later_ones_of_its_lane(folder):
    lane = fake('a'), fake('b')
    run(lane, fake('c'))
    Path('work/a/out').unlink()
    run(lane, fake('c'))
    assert [line.split('/')[1] for line in runs()].count('b') == 2
    assert [line.split('/')[1] for line in runs()].count('c') == 1
    run((replace(lane[0], key='2'), replace(lane[1], key='2')), fake('c'))
    assert len(runs()) == 7


def test_a_broken_record_counts_as_none(folder):
    run(fake('a'))
    Path('work/a.json').write_text('{"status": "do')
    run(fake('a'))
    assert len(runs()) == 2


METRIC = ('mIoU', 'mIoU', '{:.1f} %')


def test_metrics_are_read_from_the_log_of_the_runner(folder, capsys):
    code = ('import os; os.makedirs("work/a/2026")\n'
            'open("work/a/2026/2026.json", "w").write(\'{"mIoU": 50.0}\')')
    records = run(fake('a', code, output=None, metric=METRIC))
    assert records['a']['metrics'] == dict(mIoU=50.0)
    assert 'mIoU 50.0 %' in capsys.readouterr().out
    with pytest.raises(StepFailed, match='no mIoU'):
        run(fake('b', metric=METRIC))


@pytest.mark.parametrize('code, status, words', [
    ('print("a\\n" * 50 + "the reason"); raise SystemExit(7)', 1,
     ('do a: exited with status 7; the log is work/a.log', 'the reason')),
    ('print("error: no data; make some"); raise SystemExit(2)', 2,
     ('do a: no data; make some (log: work/a.log)', )),
    ('import os; os.kill(os.getpid(), 9)', 1, ('signal 9', 'memory')),
    ('', 1, ('did not write work/a/out', ))])
def test_failures(folder, code, status, words):
    with pytest.raises(StepFailed) as caught:
        run(fake('a', code))
    assert all(word in str(caught.value) for word in words)
    assert caught.value.status == status
    assert len(str(caught.value).splitlines()) <= 16
    run(fake('a'))  # what failed is run again
    assert len(runs()) == 1


SLEEP = """
import os, time
open('pid.new', 'w').write(str(os.getpid()))
os.rename('pid.new', 'pid')
time.sleep(60)
"""


def test_a_stop_ends_the_command(folder):
    code = f"""
import signal, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tools/quickstart')!r}]
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from steps import Runner, Screen, Step
Runner([[Step('a', 'a', ['-c', {SLEEP!r}], '1')]], Path('work'),
       Screen()).run()
"""
    runner = subprocess.Popen([sys.executable, '-c', code],
                              stderr=subprocess.DEVNULL)
    while not Path('pid').exists():
        assert runner.poll() is None
        time.sleep(0.05)
    runner.send_signal(signal.SIGINT)
    runner.wait(15)
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path('pid').read_text()), 0)
    assert json.loads(Path('work/a.json').read_text())['status'] == 'running'


def test_one_quick_start_at_a_time(folder):
    Path('mine').mkdir()
    Path('mine/thesis').touch()
    Path('file').touch()
    for name, words in (('mine', 'something other'),
                        ('file/x', 'cannot be written')):
        with pytest.raises(UserError, match=words):
            with sole_user(Path(name)):
                pass
    with sole_user(Path('work')):
        with pytest.raises(UserError, match='another quick start'):
            with sole_user(Path('work')):
                pass
    with sole_user(Path('work')):
        pass


def test_the_state_of_a_training(tmp_path):
    log = tmp_path / 'log'
    log.write_text('building\n')
    assert training_state(log) == ''
    log.write_text(
        '11/21 03:23:48 - mmengine - INFO - Epoch(train)  [2][20/45]  lr: 1e-3'
        '  eta: 0:02:05  time: 0.1  loss: 0.8125  loss_cls: 0.5\n'
        '11/21 03:23:49 - mmengine - INFO - Epoch(val) [2][12/12]  eta: 0:00:01'
        '  time: 0.1\n')
    assert training_state(log) == ', 0:02:05 left, loss 0.8125'


# ---------------------------------------------------------------------- results


def test_chance_level_agrees_with_mmseg(tmp_path):
    import torch
    from mmseg.evaluation import IoUMetric
    labels = np.random.default_rng(0).choice(
        [0, 1, 2, 5, 255], p=[.1, .5, .2, .1, .1],
        size=(20, 20)).astype(np.uint8)
    metric = IoUMetric()
    metric.dataset_meta = dict(classes=list('abcdef'))
    areas = metric.intersect_and_union(
        torch.full((20, 20), 1), torch.from_numpy(labels), 6, 255)
    path = tmp_path / 'cityscapes/gtFine/val/a/b_labelTrainIds.png'
    path.parent.mkdir(parents=True)
    Image.fromarray(labels).save(path)
    assert quickstart.chance_level('cityscapes', tmp_path) == pytest.approx(
        metric.compute_metrics([areas])['mIoU'], abs=0.006)


def test_chance_levels_are_below_the_floors(sample_data):
    for one in quickstart.EXPERIMENTS:
        level = quickstart.chance_level(one.samples, sample_data)
        assert 0 <= level < one.floor / 2
        assert level > 0 or one.samples == 'coco'


# ------------------------------------------------------------------- the report


class Checker(HTMLParser):
    """Collects open tags, and what a page would load."""

    def __init__(self):
        super().__init__()
        self.open, self.sources = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ('meta', 'img', 'br'):
            self.open.append(tag)
        self.sources += [value for name, value in attrs
                         if name in ('src', 'href')]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_report(tmp_path):
    drawn = tmp_path / 'images'
    drawn.mkdir()
    for number in range(20):
        Image.new('RGB', (64, 32), (number, 0, 0)).save(
            drawn / f'{number:03d}.jpg')
    Image.new('L', (50, 70)).save(tmp_path / 'digit.png')
    samples = [dict(gt_label=np.array(number % 2),
                    pred_label=np.array(int(number > 7)),
                    pred_score=[0.25, 0.75],
                    img_path=str(tmp_path / 'digit.png'))
               for number in range(10)]
    (tmp_path / 'predictions.pkl').write_bytes(pickle.dumps(samples))

    def one(name, **kwargs):
        return dict(dict(
            name=name, task=f'{name} <task>', config='configs/a.py',
            checkpoint='iter_2.pth', weights='a.pth', train_images=100,
            val_images=20, classes=['zero', 'one'], metric='mIoU',
            format='{:.1f} %', untrained=1.23, chance=4.56,
            chance_means='guessing', trained=78.9, floor=75., reached=True,
            seconds=62, results=str(drawn),
            report=f'{name}/train/report.html',
            curves=dict(loss={50: 2., 100: 1.}, mIoU={100: 78.9})),
            **kwargs)

    result = dict(
        finished='2026-01-02 03:04', seconds=754, experiments=[
            one('digits', results=str(tmp_path / 'predictions.pkl')),
            one('scenes', trained=70., reached=False,
                curves=dict(loss={50: 2.}))],
        next=[('Go on', 'python tools/train.py --a <b>')],
        steps=[dict(title='scenes: train', seconds=62, command='x')],
        versions=dict(torch='2.13.0', mmdet=None),
        machine=dict(processor='A CPU', cores=2, memory_gb=8., gpu=None,
                     system='Linux'))
    page = summary.page(result)
    checker = Checker()
    checker.feed(page)
    assert not checker.open and page.endswith('</html>\n')
    # two curves, five right and five wrong digits, six scenes
    pictures = [source for source in checker.sources
                if source.startswith('data:image/')]
    assert len(pictures) == 2 + 5 + 5 + 6
    assert set(checker.sources) - set(pictures) == {
        'digits/train/report.html', 'scenes/train/report.html'}
    assert '<script' not in page and 'http' not in page
    for words in ('1.2 %', '4.6 %', '78.9 %', '75.0 %', 'digits &lt;task&gt;',
                  ' \\\n    --a &lt;b&gt;', 'A CPU', '2.13.0', 'guessing',
                  '1 of 2 experiments missed their floor: scenes', '12:34',
                  'zero, predicted one', 'one, predicted zero', 'a.pth'):
        assert words in page, words
    assert summary.spread(list(range(10)), 5) == [1, 3, 5, 7, 9]


@pytest.mark.parametrize('mode', ['L', 'RGBA', 'CMYK', 'P'])
def test_thumbnails_of_all_formats(tmp_path, mode):
    path = tmp_path / ('a.jpg' if mode in ('L', 'CMYK') else 'a.png')
    Image.new('RGB', (30, 60), 'red').convert(mode).save(path)
    assert summary.thumbnail(path).startswith('data:image/jpeg;base64,')


# --------------------------------------------------------------------- together

# In place of tools/train.py and tools/test.py.
FAKE = """
import json, os, pickle, sys
arguments = sys.argv[1:]
def after(name):
    return arguments[arguments.index(name) + 1]
folder = os.path.join(after('--work-dir'), '2026', 'vis_data')
os.makedirs(folder)
if 'train' in arguments[0]:
    with open(os.path.join(folder, 'scalars.json'), 'w') as file:
        file.write(json.dumps(dict(loss=2.0, step=5)))
    open(os.path.join(after('--work-dir'), CHECKPOINT), 'w').close()
    sys.exit()
value = 0.0 if '--untrained' in arguments else VALUE
with open(os.path.join(folder, '..', '2026.json'), 'w') as file:
    json.dump({'accuracy/top1': value, 'coco/segm_mAP': value / 100,
               'mIoU': value}, file)
if '--out' in arguments:
    with open(after('--out'), 'wb') as file:
        pickle.dump([dict(gt_label=3, pred_label=3, pred_score=[0.1] * 10,
                          img_path=IMAGE)], file)
if '--show-dir' in arguments:
    os.makedirs(after('--show-dir'))
"""


@pytest.fixture
def fakes(sample_data, monkeypatch):
    """Replaces the commands; call it with the metric that they reach."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(quickstart, 'SAMPLES', sample_data)
    monkeypatch.setattr(quickstart, 'sample_data_step', lambda: Step(
        'sample-data', 'sample data', ['-c', ''], '1'))
    image = next((sample_data / 'imagenet/val').rglob('*.JPEG'))
    real, load, configs = quickstart.lanes, quickstart.load_config, {}
    monkeypatch.setattr(
        quickstart, 'load_config',
        lambda path: configs.setdefault(path, load(path)))

    def install(value):
        def faked(step, checkpoint):
            names = dict(VALUE=value, IMAGE=str(image),
                         CHECKPOINT=checkpoint.name)
            head = ''.join(f'{name} = {part!r}\n'
                           for name, part in names.items())
            return replace(step, command=['-c', head + FAKE, *step.command],
                           key=f'{step.key}-{value}')

        monkeypatch.setattr(quickstart, 'lanes', lambda work_dir: [
            [faked(step, lane[0].output or Path()) for step in lane]
            for lane in real(work_dir)])

    return install


def test_all_of_it(fakes, tmp_path, monkeypatch, capsys):
    work_dir = tmp_path / 'work'
    fakes(96.5)
    assert quickstart.main(['--work-dir', str(work_dir)]) == 0
    out = capsys.readouterr().out
    assert 'MISSED' not in out and 'Try next' in out
    assert 'top-1 accuracy' in out and '96.5 %' in out and '0.965' in out
    page = (work_dir / 'report.html').read_text()
    assert 'All 4 experiments reach their floor' in page
    assert len(list(work_dir.glob('*/train/report.html'))) == 4
    values = json.loads((work_dir / 'metrics.json').read_text())
    assert [one['trained'] for one in values['experiments']] == [
        96.5, 0.965, 96.5, 96.5]

    assert quickstart.main(['--work-dir', str(work_dir)]) == 0
    out = capsys.readouterr().out
    assert out.count(': done before') == 12

    monkeypatch.setattr(quickstart, 'EXPERIMENTS', [
        replace(one, floor=97.) for one in quickstart.EXPERIMENTS])
    assert quickstart.main(['--work-dir', str(work_dir)]) == 1
    streams = capsys.readouterr()
    assert streams.out.count('MISSED') == 4
    assert 'classification reached top-1 accuracy 96.5 %' in streams.err


def test_steps_use_what_the_earlier_ones_leave(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    lanes = quickstart.lanes(tmp_path)
    for one, trained, (untrained, ) in zip(quickstart.EXPERIMENTS, lanes[:4],
                                           lanes[4:]):
        train, test = trained
        assert str(train.output) in test.command
        for step in (untrained, train, test):
            assert Path(step.command[0]).is_file()
            assert one.config in step.command


def test_stopped(fakes, tmp_path, monkeypatch, capsys):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(quickstart, 'quickstart', stop)
    assert quickstart.main(['--work-dir', str(tmp_path / 'x')]) == 130
    assert 'bash tools/quickstart.sh continues' in capsys.readouterr().err


# ------------------------------------------------------------------- the script


def test_script_passes_its_arguments_on(tmp_path):
    root = tmp_path / 'with space'
    (root / 'tools').mkdir(parents=True)
    script = root / 'tools/quickstart.sh'
    script.write_text((ROOT / 'tools/quickstart.sh').read_text())
    (root / 'tools/setup_env.sh').write_text('echo "setup: $*"\n')
    python = tmp_path / 'env/bin/python'
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/bash\necho "python: $*"\nexit 5\n')
    python.chmod(0o755)

    def call(*arguments):
        return subprocess.run(
            ['bash', str(script), *arguments], cwd=tmp_path, text=True,
            capture_output=True, env=dict(os.environ, HPVIT_VENV='env'))

    done = call('--stack', 'onedl', '--work-dir=a b')
    assert done.returncode == 5 and done.stdout == (
        'setup: --quiet --stack onedl\n'
        f'python: {root}/tools/quickstart/quickstart.py --work-dir=a b\n')
    assert call('--help').stdout.startswith('Usage:')
    for wrong in (['--unknown'], ['--stack'], ['--work-dir'], ['extra']):
        done = call(*wrong)
        assert done.returncode == 2 and done.stderr.startswith('error: ')
