"""The quick start as a whole; the tools themselves are fakes here."""
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hpvit_mm.analysis import quickstart
from hpvit_mm.analysis.stamps import digest_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_plan(checkout, tmp_path):
    steps = quickstart.plan(tmp_path)
    names = [step.name for step in steps]
    assert names[0] == 'sample-data' and len(set(names)) == len(names)
    assert len(names) == 1 + 4 * 3 + 1
    for number, step in enumerate(steps):
        assert Path(step.command[0]).is_file()
        assert set(step.needs) <= set(names[:number])
        if step.name.endswith('/test'):
            assert step.name.replace('test', 'train') in step.needs
    # a floor of fifteen minutes for two cores
    assert sum(step.typical for step in steps) < 900


def test_test_uses_what_the_training_leaves(checkout, tmp_path):
    steps = {step.name: step for step in quickstart.plan(tmp_path)}
    for one in quickstart.EXPERIMENTS:
        checkpoint, = steps[f'{one.name}/train'].outputs
        assert str(checkpoint) in steps[f'{one.name}/test'].command
        assert str(one.config) in steps[f'{one.name}/train'].command


def test_last_checkpoint():
    assert quickstart.last_checkpoint(
        dict(train_cfg=dict(max_epochs=5))) == 'epoch_5.pth'
    assert quickstart.last_checkpoint(
        dict(train_cfg=dict(max_iters=30))) == 'iter_30.pth'


@pytest.mark.parametrize('init, weights', [
    (None, None), (dict(type='TruncNormal'), None),
    (dict(type='Pretrained', checkpoint=f'{ROOT}/a/b.pth'), 'a/b.pth'),
    ([dict(type='TruncNormal'),
      dict(type='Pretrained', checkpoint='/x/b.pth')], '/x/b.pth')])
def test_starting_weights(init, weights):
    config = dict(model=dict(backbone=dict(init_cfg=init)))
    assert quickstart.starting_weights(config) == weights


def test_a_config_decides(checkout, tmp_path, monkeypatch):
    before = quickstart.plan(tmp_path)
    load = quickstart.load_config
    monkeypatch.setattr(quickstart, 'load_config',
                        lambda path: dict(load(path), more=1))
    after = quickstart.plan(tmp_path)
    assert before[0] == after[0]  # the data
    assert all(a.origins != b.origins
               for a, b in zip(before[1:], after[1:]))


def test_the_report_does_not_decide(monkeypatch):
    seen = []
    monkeypatch.setattr(quickstart, 'digest_files',
                        lambda paths: seen.extend(paths) or '')
    quickstart.code_digest()
    names = {path.relative_to(ROOT).as_posix() for path in seen}
    assert 'hpvit_mm/models/backbones/hpvit.py' in names
    assert 'tools/train.py' in names
    assert 'hpvit_mm/analysis/report.py' not in names


# What stands for tools/train.py and tools/test.py.
FAKE = """
import json, os, pickle, sys
arguments = sys.argv[1:]
def after(name):
    return arguments[arguments.index(name) + 1]
work_dir = after('--work-dir')
os.makedirs(work_dir, exist_ok=True)
if '--out' not in arguments:
    run = os.path.join(work_dir, '20260101_000000', 'vis_data')
    os.makedirs(run)
    with open(os.path.join(run, 'scalars.json'), 'w') as file:
        file.write(json.dumps(dict(loss=2.0, step=5)))
    open(os.path.join(work_dir, CHECKPOINT), 'w').close()
elif after('--out').endswith('.pkl'):
    with open(after('--out'), 'wb') as file:
        pickle.dump([dict(gt_label=3, pred_label=3, pred_score=[0.1] * 10,
                          img_path=PICTURE)], file)
else:
    value = 0.0 if '--untrained' in arguments else VALUE
    with open(after('--out'), 'w') as file:
        json.dump({'accuracy/top1': value, 'coco/segm_mAP': value / 100,
                   'mIoU': value}, file)
"""


@pytest.fixture
def fakes(sample_data, monkeypatch):
    """Replaces the commands of the plan; call it with the metric."""
    plan, load = quickstart.plan, quickstart.load_config
    picture = next((sample_data / 'imagenet/val').rglob('*.JPEG'))
    configs = {}
    monkeypatch.setattr(
        quickstart, 'load_config',
        lambda path: configs.setdefault(path, load(path)))
    monkeypatch.setattr(quickstart, 'SAMPLES', sample_data)

    def install(value):
        def faked(work_dir):
            data, *steps = plan(work_dir)
            yield replace(data, command=['-c', 'pass'])
            for step in steps:
                names = dict(VALUE=value, PICTURE=str(picture),
                             CHECKPOINT=Path(step.outputs[0]).name)
                head = ''.join(f'{name} = {value!r}\n'
                               for name, value in names.items())
                yield replace(
                    step, command=['-c', head + FAKE, *step.command])

        monkeypatch.setattr(quickstart, 'plan',
                            lambda work_dir: list(faked(work_dir)))

    return install


def test_all_of_it(checkout, fakes, tmp_path, capsys):
    fakes(96.5)
    work_dir = tmp_path / 'work'
    assert quickstart.main(['--work-dir', str(work_dir)]) == 0
    out = capsys.readouterr().out
    assert '[15/15] report' in out and 'MISSED' not in out
    assert 'top-1 accuracy' in out and '96.5 %' in out and '0.965' in out
    assert 'Try next' in out and str(work_dir.name) in out
    page = (work_dir / 'report.html').read_text()
    assert 'All 4 experiments reach their floor' in page
    numbers = json.loads((work_dir / 'metrics.json').read_text())
    assert [one['trained'] for one in numbers['experiments']] == [
        96.5, 0.965, 96.5, 96.5]

    trained = digest_files(work_dir.rglob('*.pth'))
    assert quickstart.main(['--work-dir', str(work_dir)]) == 0
    out = capsys.readouterr().out
    assert out.count('  done before') == 13 and ', all done before;' in out
    assert digest_files(work_dir.rglob('*.pth')) == trained

    fakes(70.)  # the metric is a part of the fake command
    assert quickstart.main(['--work-dir', str(work_dir)]) == 1
    streams = capsys.readouterr()
    assert streams.out.count('MISSED') == 3
    assert ('error: classification reached 70.0 % top-1 accuracy, less than '
            'the 95.0 %') in streams.err
    assert 'missed their floor' in (work_dir / 'report.html').read_text()


def test_stopped(checkout, tmp_path, monkeypatch, capsys):

    def stop(work_dir):
        raise KeyboardInterrupt

    monkeypatch.setattr(quickstart, 'quickstart', stop)
    assert quickstart.main(['--work-dir', str(tmp_path)]) == 130
    assert 'bash tools/quickstart.sh continues' in capsys.readouterr().err


def test_a_failing_step(checkout, fakes, tmp_path, monkeypatch, capsys):
    fakes(96.5)
    steps = quickstart.plan(tmp_path)
    steps[1] = replace(steps[1], command=['-c', 'print("error: no; do x")\n'
                                          'raise SystemExit(2)'])
    monkeypatch.setattr(quickstart, 'plan', lambda work_dir: steps)
    assert quickstart.main(['--work-dir', str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert 'classification: test untrained: no; do x' in err
    assert 'untrained.log' in err and 'continues from here' in err


def test_work_dir_that_cannot_be_written(checkout, tmp_path, capsys):
    (tmp_path / 'file').touch()
    assert quickstart.main(['--work-dir', str(tmp_path / 'file/x')]) == 2
    err = capsys.readouterr().err
    assert err.startswith('error: the folder') and err.count('\n') == 1


@pytest.mark.parametrize('arguments', [
    ['--unknown'], ['--stack'], ['--work-dir'], ['extra']])
def test_bad_arguments_of_the_script(arguments):
    done = subprocess.run(
        ['bash', 'tools/quickstart.sh', *arguments], cwd=ROOT,
        capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith('error: ') and 'Usage:' in done.stderr


def test_help():
    done = subprocess.run(['bash', 'tools/quickstart.sh', '--help'], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith('Usage:')


def test_script_passes_on(tmp_path):
    """What it calls, with the environment's script and Python as fakes."""
    root = tmp_path / 'with space'
    (root / 'tools').mkdir(parents=True)
    script = (ROOT / 'tools/quickstart.sh').read_text()
    (root / 'tools/quickstart.sh').write_text(script)
    (root / 'tools/setup_env.sh').write_text('echo "setup: $*"\n')
    python = tmp_path / 'env/bin/python'
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/bash\necho "python: $*"\nexit 5\n')
    python.chmod(0o755)
    done = subprocess.run(
        ['bash', str(root / 'tools/quickstart.sh'), '--stack', 'onedl',
         '--work-dir=a b'], cwd=tmp_path, capture_output=True, text=True,
        env=dict(os.environ, HPVIT_VENV='env'))
    assert done.returncode == 5
    assert done.stdout == (
        'setup: --quiet --stack onedl\n'
        f'python: {root}/tools/quickstart.py --work-dir=a b\n')


def test_entry_point(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / 'tools/quickstart.py'), '--nonsense'],
        cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and 'usage:' in done.stderr
